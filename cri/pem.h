// SPDX-License-Identifier: Apache-2.0
// PEM texts as OpenSSL's objects, owned.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <vector>

namespace keelson::cri {

struct FreePem {
  void operator()(X509* object) const { ::X509_free(object); }
  void operator()(EVP_PKEY* object) const { ::EVP_PKEY_free(object); }
};
using OwnedCertificate = std::unique_ptr<X509, FreePem>;
using OwnedKey = std::unique_ptr<EVP_PKEY, FreePem>;

/// In their order; what is no certificate between them is passed over.
std::vector<OwnedCertificate> certificates_in(const std::string& pem);
/// The first private key; null if there is none, or it needs a password.
OwnedKey private_key_in(const std::string& pem);

}  // namespace keelson::cri
