// SPDX-License-Identifier: Apache-2.0
// What a registry wants to know about us, and what we answer (RFC 9110 section 11, distribution's token protocol).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/result.h"
#include "cri/image/http.h"

namespace keelson::cri::image {

/// As CRI's AuthConfig has them; all may be empty. Never printed.
struct Credentials {
  std::string username;
  std::string password;
  std::string auth;            ///< base64 of "user:password", if username is empty
  std::string identity_token;  ///< traded for a token at the registry's realm
  std::string registry_token;  ///< sent as it is

  bool empty() const { return username.empty() && auth.empty() && identity_token.empty() && registry_token.empty(); }
};

/// One challenge of a WWW-Authenticate header.
struct Challenge {
  std::string scheme;                             ///< lower case: "bearer"
  std::map<std::string, std::string> parameters;  ///< realm, service, scope
};
std::vector<Challenge> parse_challenges(const std::string& header);

/// "Basic <base64>", or nothing if there is neither user name nor auth. Kind::invalid: auth is not base64 of
/// "user:...".
Result<std::string> basic_authorization(const Credentials& credentials);

/// The Authorization header's value that meets the first challenge we know: Basic, or Bearer with a token from the
/// challenge's realm, for `scope` if the challenge names none. `request` has trust and time limit. Credentials go to a
/// plain http realm only if `plain` (the registry is plain, too). Kind::permission: no challenge can be met, or the
/// realm refused; unavailable and timeout as of HttpClient::send.
Result<std::string> answer(HttpClient& client, const std::vector<std::string>& challenges,
                           const Credentials& credentials, const std::string& scope, bool plain, HttpRequest request);

}  // namespace keelson::cri::image
