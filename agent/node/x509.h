// SPDX-License-Identifier: Apache-2.0
// Keys, requests for certificates, and certificates, all in PEM. Keys are secret: never log one or put it into an
// error.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/result.h"

namespace keelson::agent {

/// Whose a certificate is, and by which names it is good as a server's.
struct CertificateSubject {
  std::string common_name;
  std::string organization;
  std::vector<std::string> dns_names;
  std::vector<std::string> ips;
  bool operator==(const CertificateSubject&) const = default;
};

/// A new private key (P-256, PKCS#8).
Result<std::string> make_private_key();

/// A certificate signing request (PKCS#10) of that key. Kind::invalid: no key.
Result<std::string> make_signing_request(const std::string& key_pem, const CertificateSubject& subject);

/// A certificate of that key, signed by it, for a server, from an hour before `now` on.
Result<std::string> self_sign(const std::string& key_pem, const CertificateSubject& subject, WallTime now,
                              Duration lifetime);

/// The first certificate of a text.
struct CertificateFacts {
  CertificateSubject subject;
  WallTime not_before;
  WallTime not_after;
};
/// Kind::invalid: there is none, or it is broken.
Result<CertificateFacts> read_certificate(const std::string& pem);

/// Whether the first certificate of one text is the key's of the other.
bool belong_together(const std::string& certificate_pem, const std::string& key_pem);

/// A name of `key_pem`'s public half together with `more`: the same for the same, and telling nothing. 64 hex digits.
Result<std::string> digest_of_key(const std::string& key_pem, std::string_view more);

}  // namespace keelson::agent
