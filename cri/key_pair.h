// SPDX-License-Identifier: Apache-2.0
// Certificates and their keys in files, as servers and clients have them.
#pragma once

#include <string>

#include "common/result.h"

namespace keelson::cri {

/// PEM texts that OpenSSL has read once: the certificate with its chain behind it, and its private key. Never printed.
struct KeyPair {
  std::string certificate;
  std::string key;
};

/// A file with at least one certificate. Errors name it: not_found, permission, invalid.
Result<std::string> read_certificates(const std::string& path);
/// A file with a private key that needs no password. Errors name it, and never show what is in it.
Result<std::string> read_private_key(const std::string& path);
/// Whether the key is the first certificate's.
bool fits(const KeyPair& pair);

}  // namespace keelson::cri
