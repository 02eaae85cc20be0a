// SPDX-License-Identifier: Apache-2.0
// Who asks: by a certificate, by a token that the API server knows, or nobody.
#pragma once

#include <memory>
#include <string>

#include "agent/kubelet_api/client_authority.h"
#include "agent/kubelet_api/review_cache.h"
#include "agent/kubelet_api/reviewer.h"
#include "common/loop.h"
#include "http/server.h"

namespace keelson::agent {

/// KubeletConfiguration's `authentication`.
struct AuthenticationOptions {
  std::string client_ca_file;                    ///< x509.clientCAFile; empty: certificates prove nothing.
  bool token_webhook = true;                     ///< webhook.enabled: TokenReview.
  Duration token_ttl = std::chrono::minutes(2);  ///< webhook.cacheTTL: how long an answer counts, either way.
  bool anonymous = false;                        ///< anonymous.enabled: who shows nothing is system:anonymous.
};

/// Belongs to its loop.
class Authenticator {
 public:
  /// `reviewer` outlives it; null: no token is known. Errors are those of clientCAFile.
  static Result<std::unique_ptr<Authenticator>> make(Loop& loop, AuthenticationOptions options, Reviewer* reviewer);

  /// The user with all groups. A certificate counts first; one that proves nothing does not spoil a good token. Any
  /// error means 401: Kind::permission, or why nobody could tell (what was told of the same token in the last minutes
  /// counts). Errors hold nothing of a token.
  Task<kube::UserInfo> user_of(http::Request request);

 private:
  Authenticator(Loop& loop, AuthenticationOptions options, Reviewer* reviewer);
  Task<kube::UserInfo> user_of_token(std::string token);

  const AuthenticationOptions options_;
  Reviewer* reviewer_;
  std::unique_ptr<ClientAuthority> authority_;
  ReviewCache<kube::TokenReview> reviews_;
  const std::string secret_;  // of the cache's keys: no token is kept
};

/// The token of "Authorization: Bearer <token>"; empty: none.
std::string bearer_token(const http::Request& request);

}  // namespace keelson::agent
