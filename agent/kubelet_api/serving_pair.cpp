// SPDX-License-Identifier: Apache-2.0
// serving_pair.h by OpenSSL.
#include "agent/kubelet_api/serving_pair.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <memory>

#include "common/atomic_file.h"
#include "common/fd.h"

namespace keelson::agent {

namespace {

constexpr auto kLife = std::chrono::days(365);
constexpr auto kLeast = std::chrono::days(30);

template <auto Free>
using Freed = decltype([](auto* object) { Free(object); });
using Key = std::unique_ptr<EVP_PKEY, Freed<&::EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<&::X509_free>>;
using Text = std::unique_ptr<BIO, Freed<&::BIO_free>>;

/// What is in the files is a pair, and good for long enough.
bool is_good(const ServingPair& files, WallTime now) {
  const auto certificate_pem = read_file(files.certificate_file);
  const auto key_pem = read_file(files.key_file);
  if (!certificate_pem || !key_pem) {
    return false;
  }
  const Text certificate_text(::BIO_new_mem_buf(certificate_pem->data(), static_cast<int>(certificate_pem->size())));
  const Text key_text(::BIO_new_mem_buf(key_pem->data(), static_cast<int>(key_pem->size())));
  const Certificate certificate(::PEM_read_bio_X509(certificate_text.get(), nullptr, nullptr, nullptr));
  const Key key(::PEM_read_bio_PrivateKey(key_text.get(), nullptr, nullptr, nullptr));
  std::tm end{};
  return certificate && key && ::X509_check_private_key(certificate.get(), key.get()) == 1 &&
         ::ASN1_TIME_to_tm(::X509_get0_notAfter(certificate.get()), &end) == 1 &&
         WallTime(std::chrono::seconds(::timegm(&end))) - now > kLeast;
}

std::string subject_names(const std::vector<std::string>& names) {
  std::string list;
  for (const auto& name : names) {
    in6_addr address{};
    const bool ip =
        ::inet_pton(AF_INET, name.c_str(), &address) == 1 || ::inet_pton(AF_INET6, name.c_str(), &address) == 1;
    list += (list.empty() ? "" : ",") + std::string(ip ? "IP:" : "DNS:") + name;
  }
  return list;
}

bool extend(X509* certificate, int nid, const std::string& value) {
  X509_EXTENSION* extension = ::X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
  const bool added = extension != nullptr && ::X509_add_ext(certificate, extension, -1) == 1;
  ::X509_EXTENSION_free(extension);
  return added;
}

Certificate sign(EVP_PKEY* key, const std::vector<std::string>& names, std::time_t now) {
  Certificate made(::X509_new());
  ::X509_set_version(made.get(), 2);
  uint64_t serial = 0;
  ::RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial);
  ::ASN1_INTEGER_set_uint64(::X509_get_serialNumber(made.get()), serial >> 1);
  // An hour earlier, for clients whose clocks are behind.
  ::X509_time_adj_ex(::X509_getm_notBefore(made.get()), 0, -3600, &now);
  ::X509_time_adj_ex(::X509_getm_notAfter(made.get()), kLife.count(), 0, &now);
  ::X509_set_pubkey(made.get(), key);
  auto* subject = ::X509_get_subject_name(made.get());
  // A common name has 64 characters at most.
  const auto name = names.front().substr(0, 53) + "@" + std::to_string(now);
  ::X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(name.c_str()), -1,
                               -1, 0);
  ::X509_set_issuer_name(made.get(), subject);
  const bool done = extend(made.get(), NID_basic_constraints, "critical,CA:FALSE") &&
                    extend(made.get(), NID_key_usage, "critical,digitalSignature") &&
                    extend(made.get(), NID_ext_key_usage, "serverAuth") &&
                    extend(made.get(), NID_subject_alt_name, subject_names(names)) &&
                    ::X509_sign(made.get(), key, ::EVP_sha256()) > 0;
  return done ? std::move(made) : nullptr;
}

std::string text_of(BIO* text) {
  char* data = nullptr;
  const auto size = ::BIO_get_mem_data(text, &data);
  return {data, static_cast<size_t>(size)};
}

}  // namespace

Result<ServingPair> ensure_serving_pair(const std::string& folder, const std::vector<std::string>& names,
                                        WallTime now) {
  ServingPair files{folder + "/kubelet.crt", folder + "/kubelet.key"};
  if (is_good(files, now)) {
    return files;
  }
  KEELSON_DO(make_directories(folder, 0700));
  const Key key(::EVP_EC_gen("P-256"));
  const auto seconds = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  const auto certificate = key ? sign(key.get(), names, seconds) : nullptr;
  if (!certificate) {
    return fail(Kind::internal, "{}: a certificate for this node cannot be made", files.certificate_file);
  }
  const Text key_text(::BIO_new(::BIO_s_mem()));
  ::PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  const Text certificate_text(::BIO_new(::BIO_s_mem()));
  ::PEM_write_bio_X509(certificate_text.get(), certificate.get());
  KEELSON_DO(write_file_atomic(files.key_file, text_of(key_text.get()), 0600));
  KEELSON_DO(write_file_atomic(files.certificate_file, text_of(certificate_text.get()), 0644));
  return files;
}

}  // namespace keelson::agent
