// SPDX-License-Identifier: Apache-2.0
// A pod's service account, and tokens of it, asked for by the node (TokenRequest, KEP-1205).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "agent/config/pod_inputs.h"
#include "common/clock.h"
#include "kube/client/client.h"
#include "kube/pod.h"

namespace keelson::agent {

/// "default" for a pod that names none.
std::string service_account_of(const kube::Pod& pod);

/// What a token is to be good for.
struct TokenWanted {
  std::string audience;                            ///< Empty: the API server's own.
  std::optional<int64_t> expiration_seconds = {};  ///< None: as long as the API server gives by itself (an hour).
  std::string account_uid = {};  ///< Refused (409) if the account of that name is another one by now; empty: any.
};
/// For a token that is bound to this pod, and so is void once the pod's object has gone.
kube::Request token_request(const kube::ObjectMeta& pod, const std::string& service_account, const TokenWanted& wanted);

/// Secret: never print, log or put into an error what is in it.
struct IssuedToken {
  std::string text;
  WallTime expires{};
};
/// From the answer's body. Errors hold nothing of the text.
Result<IssuedToken> read_token(const std::string& body);

/// For the account itself, and what the answer's body says of it.
kube::Request service_account_request(const kube::ObjectMeta& pod, const std::string& service_account);
Result<ServiceAccount> read_service_account(const std::string& body);

}  // namespace keelson::agent
