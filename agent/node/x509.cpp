// SPDX-License-Identifier: Apache-2.0
// x509.h by OpenSSL.
#include "agent/node/x509.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <memory>

#include "common/sha256.h"

namespace keelson::agent {

namespace {

template <class T, void (*Free)(T*)>
using Owned = std::unique_ptr<T, decltype([](T* object) { Free(object); })>;
using OwnedKey = Owned<EVP_PKEY, &::EVP_PKEY_free>;
using OwnedCertificate = Owned<X509, &::X509_free>;
using OwnedRequest = Owned<X509_REQ, &::X509_REQ_free>;
using OwnedBio = std::unique_ptr<BIO, decltype([](BIO* bio) { ::BIO_free(bio); })>;

constexpr std::chrono::hours kClockSkew{1};

std::unexpected<Error> refuse(std::string_view what) {
  return fail(Kind::internal, "OpenSSL: {}", what);
}

OwnedBio reader_of(const std::string& text) {
  return OwnedBio(::BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

/// What `write` puts into a BIO.
template <class Write>
Result<std::string> text_of(Write write) {
  const OwnedBio bio(::BIO_new(::BIO_s_mem()));
  if (!bio || write(bio.get()) != 1) {
    return refuse("cannot write PEM");
  }
  char* data = nullptr;
  const auto size = ::BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

Result<OwnedKey> parse_key(const std::string& pem) {
  const auto bio = reader_of(pem);
  // With a password there is nobody to ask.
  auto* const no_password = static_cast<pem_password_cb*>([](char*, int, int, void*) { return 0; });
  OwnedKey key(::PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
  if (!key) {
    return fail(Kind::invalid, "not a private key in PEM without a password");
  }
  return key;
}

Result<OwnedCertificate> parse_certificate(const std::string& pem) {
  const auto bio = reader_of(pem);
  OwnedCertificate certificate(::PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (!certificate) {
    return fail(Kind::invalid, "not a certificate in PEM");
  }
  return certificate;
}

bool add_entry(X509_NAME* name, const char* field, const std::string& value) {
  return value.empty() ||
         ::X509_NAME_add_entry_by_txt(name, field, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(value.c_str()),
                                      -1, -1, 0) == 1;
}

bool set_name(X509_NAME* name, const CertificateSubject& subject) {
  return add_entry(name, "O", subject.organization) && add_entry(name, "CN", subject.common_name);
}

using OwnedNames = std::unique_ptr<GENERAL_NAMES, decltype([](GENERAL_NAMES* names) { ::GENERAL_NAMES_free(names); })>;

bool add_name(GENERAL_NAMES* names, int type, std::string_view bytes) {
  GENERAL_NAME* name = ::GENERAL_NAME_new();
  ASN1_STRING* text = type == GEN_IPADD ? ::ASN1_OCTET_STRING_new() : ::ASN1_IA5STRING_new();
  ::ASN1_STRING_set(text, bytes.data(), static_cast<int>(bytes.size()));
  ::GENERAL_NAME_set0_value(name, type, text);
  return sk_GENERAL_NAME_push(names, name) > 0;
}

/// The address's bytes; empty if it is none.
std::string bytes_of(const std::string& ip) {
  char bytes[16];
  if (::inet_pton(AF_INET, ip.c_str(), bytes) == 1) {
    return {bytes, 4};
  }
  return ::inet_pton(AF_INET6, ip.c_str(), bytes) == 1 ? std::string(bytes, 16) : std::string();
}

/// subjectAltName; null if the subject has no names.
OwnedNames alternative_names(const CertificateSubject& subject) {
  OwnedNames names(::GENERAL_NAMES_new());
  for (const auto& name : subject.dns_names) {
    add_name(names.get(), GEN_DNS, name);
  }
  for (const auto& ip : subject.ips) {
    if (const auto bytes = bytes_of(ip); !bytes.empty()) {
      add_name(names.get(), GEN_IPADD, bytes);
    }
  }
  if (sk_GENERAL_NAME_num(names.get()) == 0) {
    names.reset();
  }
  return names;
}

std::string text_of_entry(const X509_NAME* name, int nid) {
  const int at = ::X509_NAME_get_index_by_NID(const_cast<X509_NAME*>(name), nid, -1);
  if (at < 0) {
    return {};
  }
  const ASN1_STRING* text = ::X509_NAME_ENTRY_get_data(::X509_NAME_get_entry(name, at));
  return {reinterpret_cast<const char*>(::ASN1_STRING_get0_data(text)),
          static_cast<size_t>(::ASN1_STRING_length(text))};
}

Result<WallTime> time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (::ASN1_TIME_to_tm(time, &parts) != 1) {
    return fail(Kind::invalid, "a certificate with a broken date");
  }
  return WallTime(std::chrono::seconds(::timegm(&parts)));
}

void read_names(X509* certificate, CertificateSubject& subject) {
  const OwnedNames names(
      static_cast<GENERAL_NAMES*>(::X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    int type = 0;
    const auto* text =
        static_cast<ASN1_STRING*>(::GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &type));
    const auto* const data = ::ASN1_STRING_get0_data(text);
    const auto size = static_cast<size_t>(::ASN1_STRING_length(text));
    if (type == GEN_DNS) {
      subject.dns_names.emplace_back(reinterpret_cast<const char*>(data), size);
    } else if (type == GEN_IPADD && (size == 4 || size == 16)) {
      char address[INET6_ADDRSTRLEN] = "";
      ::inet_ntop(size == 4 ? AF_INET : AF_INET6, data, address, sizeof address);
      subject.ips.emplace_back(address);
    }
  }
}

bool set_times(X509* certificate, WallTime now, Duration lifetime) {
  const auto seconds = [](WallTime time) {
    return std::chrono::system_clock::to_time_t(
        std::chrono::time_point_cast<std::chrono::system_clock::duration>(time));
  };
  return ::ASN1_TIME_set(::X509_getm_notBefore(certificate), seconds(now - kClockSkew)) != nullptr &&
         ::ASN1_TIME_set(::X509_getm_notAfter(certificate), seconds(now + lifetime)) != nullptr;
}

bool set_serial(X509* certificate) {
  uint64_t serial = 0;
  return ::RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) == 1 &&
         ::ASN1_INTEGER_set_uint64(::X509_get_serialNumber(certificate), serial >> 1) == 1;
}

bool set_usage(X509* certificate) {
  for (const auto& [nid, value] :
       {std::pair{NID_key_usage, "critical,digitalSignature"}, std::pair{NID_ext_key_usage, "serverAuth"},
        std::pair{NID_basic_constraints, "critical,CA:FALSE"}}) {
    X509_EXTENSION* extension = ::X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    const bool added = extension != nullptr && ::X509_add_ext(certificate, extension, -1) == 1;
    ::X509_EXTENSION_free(extension);
    if (!added) {
      return false;
    }
  }
  return true;
}

}  // namespace

Result<std::string> make_private_key() {
  const OwnedKey key(::EVP_EC_gen("P-256"));
  if (!key) {
    return refuse("cannot make a key");
  }
  return text_of(
      [&](BIO* bio) { return ::PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
}

Result<std::string> make_signing_request(const std::string& key_pem, const CertificateSubject& subject) {
  KEELSON_TRY(const auto key, parse_key(key_pem));
  const OwnedRequest request(::X509_REQ_new());
  bool good = ::X509_REQ_set_version(request.get(), 0) == 1 &&
              set_name(::X509_REQ_get_subject_name(request.get()), subject) &&
              ::X509_REQ_set_pubkey(request.get(), key.get()) == 1;
  if (const auto names = alternative_names(subject); good && names) {
    STACK_OF(X509_EXTENSION)* extensions = nullptr;
    good = ::X509V3_add1_i2d(&extensions, NID_subject_alt_name, names.get(), 0, 0) == 1 &&
           ::X509_REQ_add_extensions(request.get(), extensions) == 1;
    sk_X509_EXTENSION_pop_free(extensions, ::X509_EXTENSION_free);
  }
  if (!good || ::X509_REQ_sign(request.get(), key.get(), ::EVP_sha256()) == 0) {
    return refuse("cannot make a request for a certificate");
  }
  return text_of([&](BIO* bio) { return ::PEM_write_bio_X509_REQ(bio, request.get()); });
}

Result<std::string> self_sign(const std::string& key_pem, const CertificateSubject& subject, WallTime now,
                              Duration lifetime) {
  KEELSON_TRY(const auto key, parse_key(key_pem));
  const OwnedCertificate made(::X509_new());
  X509_NAME* name = ::X509_get_subject_name(made.get());
  bool good = ::X509_set_version(made.get(), 2) == 1 && set_serial(made.get()) &&
              set_times(made.get(), now, lifetime) && ::X509_set_pubkey(made.get(), key.get()) == 1 &&
              set_name(name, subject) && ::X509_set_issuer_name(made.get(), name) == 1 && set_usage(made.get());
  if (const auto names = alternative_names(subject); good && names) {
    good = ::X509_add1_ext_i2d(made.get(), NID_subject_alt_name, names.get(), 0, 0) == 1;
  }
  if (!good || ::X509_sign(made.get(), key.get(), ::EVP_sha256()) == 0) {
    return refuse("cannot sign a certificate");
  }
  return text_of([&](BIO* bio) { return ::PEM_write_bio_X509(bio, made.get()); });
}

Result<CertificateFacts> read_certificate(const std::string& pem) {
  KEELSON_TRY(const auto certificate, parse_certificate(pem));
  CertificateFacts facts;
  const X509_NAME* name = ::X509_get_subject_name(certificate.get());
  facts.subject.common_name = text_of_entry(name, NID_commonName);
  facts.subject.organization = text_of_entry(name, NID_organizationName);
  read_names(certificate.get(), facts.subject);
  KEELSON_TRY(facts.not_before, time_of(::X509_get0_notBefore(certificate.get())));
  KEELSON_TRY(facts.not_after, time_of(::X509_get0_notAfter(certificate.get())));
  return facts;
}

bool belong_together(const std::string& certificate_pem, const std::string& key_pem) {
  const auto certificate = parse_certificate(certificate_pem);
  const auto key = parse_key(key_pem);
  return certificate && key && ::X509_check_private_key(certificate->get(), key->get()) == 1;
}

Result<std::string> digest_of_key(const std::string& key_pem, std::string_view more) {
  KEELSON_TRY(const auto key, parse_key(key_pem));
  unsigned char* der = nullptr;
  const int size = ::i2d_PUBKEY(key.get(), &der);
  if (size <= 0) {
    return refuse("cannot write a public key");
  }
  std::string bytes(reinterpret_cast<char*>(der), static_cast<size_t>(size));
  ::OPENSSL_free(der);
  bytes += more;
  return sha256_hex(bytes);
}

}  // namespace keelson::agent
