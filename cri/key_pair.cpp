// SPDX-License-Identifier: Apache-2.0
// key_pair.h and pem.h by OpenSSL.
#include "cri/key_pair.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include "common/fd.h"
#include "cri/pem.h"

namespace keelson::cri {

namespace {

using Text = std::unique_ptr<BIO, decltype([](BIO* object) { ::BIO_free(object); })>;

Text text_of(const std::string& pem) {
  return Text(::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

// A key under a password must be refused, and not asked for at the daemon's terminal.
int no_password(char*, int, int, void*) {
  return 0;
}

}  // namespace

std::vector<OwnedCertificate> certificates_in(const std::string& pem) {
  const auto text = text_of(pem);
  std::vector<OwnedCertificate> found;
  while (auto* one = ::PEM_read_bio_X509(text.get(), nullptr, &no_password, nullptr)) {
    found.emplace_back(one);
  }
  ::ERR_clear_error();
  return found;
}

OwnedKey private_key_in(const std::string& pem) {
  OwnedKey key(::PEM_read_bio_PrivateKey(text_of(pem).get(), nullptr, &no_password, nullptr));
  ::ERR_clear_error();
  return key;
}

Result<std::string> read_certificates(const std::string& path) {
  KEELSON_TRY(auto pem, read_file(path));
  if (certificates_in(pem).empty()) {
    return fail(Kind::invalid, "{}: no certificate in PEM", path);
  }
  return pem;
}

Result<std::string> read_private_key(const std::string& path) {
  KEELSON_TRY(auto pem, read_file(path));
  if (!private_key_in(pem)) {
    return fail(Kind::invalid, "{}: no private key in PEM without a password", path);
  }
  return pem;
}

bool fits(const KeyPair& pair) {
  const auto certificates = certificates_in(pair.certificate);
  const auto key = private_key_in(pair.key);
  const bool same =
      !certificates.empty() && key && ::X509_check_private_key(certificates.front().get(), key.get()) == 1;
  ::ERR_clear_error();
  return same;
}

}  // namespace keelson::cri
