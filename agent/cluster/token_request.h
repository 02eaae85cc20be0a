// SPDX-License-Identifier: Apache-2.0
// A token of a pod's service account, asked for by the node (TokenRequest, KEP-1205).
#pragma once

#include <cstdint>
#include <string>

#include "common/clock.h"
#include "kube/client/client.h"
#include "kube/pod.h"

namespace keelson::agent {

/// "default" for a pod that names none.
std::string service_account_of(const kube::Pod& pod);

/// For a token that is bound to this pod, and so is void once the pod's object has gone. `audience` empty: the API
/// server's own.
kube::Request token_request(const kube::ObjectMeta& pod, const std::string& service_account,
                            const std::string& audience, int64_t expiration_seconds);

/// Secret: never print, log or put into an error what is in it.
struct IssuedToken {
  std::string text;
  WallTime expires{};
};
/// From the answer's body. Errors hold nothing of the text.
Result<IssuedToken> read_token(const std::string& body);

}  // namespace keelson::agent
