// SPDX-License-Identifier: Apache-2.0
// certificates.h by OpenSSL.
#include "tests/support/certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace keelson::testing {

namespace {

template <class T, void (*Free)(T*)>
using Owned = std::unique_ptr<T, decltype([](T* object) { Free(object); })>;
using OwnedKey = Owned<EVP_PKEY, &::EVP_PKEY_free>;
using OwnedCertificate = Owned<X509, &::X509_free>;

// What `write` puts into a BIO.
template <class Write>
std::string text_of(Write write) {
  BIO* bio = ::BIO_new(::BIO_s_mem());
  write(bio);
  char* data = nullptr;
  const auto size = ::BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<size_t>(size));
  ::BIO_free(bio);
  return text;
}

std::string pem_of(X509* certificate) {
  return text_of([&](BIO* bio) { ::PEM_write_bio_X509(bio, certificate); });
}

std::string pem_of(EVP_PKEY* key) {
  return text_of([&](BIO* bio) { ::PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr); });
}

void extend(X509* certificate, int nid, const char* value) {
  X509_EXTENSION* extension = ::X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
  ::X509_add_ext(certificate, extension, -1);
  ::X509_EXTENSION_free(extension);
}

// Not signed yet.
OwnedCertificate make(const std::string& name, const std::string& organization, EVP_PKEY* key, X509_NAME* issuer,
                      TestValidity validity = {}) {
  static long serial = 0;
  OwnedCertificate made(::X509_new());
  ::X509_set_version(made.get(), 2);
  ::ASN1_INTEGER_set(::X509_get_serialNumber(made.get()), ++serial);
  ::X509_gmtime_adj(::X509_getm_notBefore(made.get()), validity.from);
  ::X509_gmtime_adj(::X509_getm_notAfter(made.get()), validity.to);
  ::X509_set_pubkey(made.get(), key);
  X509_NAME* subject = ::X509_get_subject_name(made.get());
  const auto add = [subject](const char* field, const std::string& value) {
    if (!value.empty()) {
      ::X509_NAME_add_entry_by_txt(subject, field, MBSTRING_ASC, reinterpret_cast<const unsigned char*>(value.c_str()),
                                   -1, -1, 0);
    }
  };
  add("O", organization);
  add("CN", name);
  ::X509_set_issuer_name(made.get(), issuer == nullptr ? subject : issuer);
  return made;
}

}  // namespace

struct TestAuthority::Key {
  OwnedKey key;
  OwnedCertificate certificate;
};

TestAuthority::TestAuthority() : key_(std::make_unique<Key>()) {
  key_->key.reset(::EVP_EC_gen("P-256"));
  static int count = 0;
  key_->certificate = make("test authority " + std::to_string(++count), "", key_->key.get(), nullptr);
  extend(key_->certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
  ::X509_sign(key_->certificate.get(), key_->key.get(), ::EVP_sha256());
  pem_ = pem_of(key_->certificate.get());
}

TestAuthority::~TestAuthority() = default;

std::string TestAuthority::key() const {
  return pem_of(key_->key.get());
}

TestCertificate TestAuthority::issue(const std::string& name, const std::string& organization, const std::string& also,
                                     TestValidity validity) {
  const OwnedKey key(::EVP_EC_gen("P-256"));
  const auto made = make(name, organization, key.get(), ::X509_get_subject_name(key_->certificate.get()), validity);
  const std::string names = "DNS:localhost,DNS:kubernetes.default.svc,IP:127.0.0.1,IP:::1";
  extend(made.get(), NID_subject_alt_name, (also.empty() ? names : names + "," + also).c_str());
  ::X509_sign(made.get(), key_->key.get(), ::EVP_sha256());
  return {.certificate = pem_of(made.get()), .key = pem_of(key.get())};
}

}  // namespace keelson::testing
