// SPDX-License-Identifier: Apache-2.0
// What somebody may do here: SubjectAccessReview of the kubelet's attributes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/kubelet_api/review_cache.h"
#include "agent/kubelet_api/reviewer.h"
#include "common/loop.h"
#include "http/server.h"

namespace keelson::agent {

/// KubeletConfiguration's `authorization`.
struct AuthorizationOptions {
  bool webhook = true;                             ///< mode Webhook; false: AlwaysAllow, for whoever is known.
  Duration allowed_ttl = std::chrono::minutes(5);  ///< webhook.cacheAuthorizedTTL
  Duration denied_ttl = std::chrono::seconds(30);  ///< webhook.cacheUnauthorizedTTL
  std::string node_name;
};

/// A request in RBAC's words: `verb` on nodes/<subresource>, any one of these is enough, asked in this order
/// (KubeletFineGrainedAuthz: the particular one first, then nodes/proxy).
struct AccessQuestion {
  std::string verb;
  std::vector<std::string> subresources;
};
AccessQuestion question_of(const http::Request& request);

/// Belongs to its loop.
class Authorizer {
 public:
  /// `reviewer` outlives it; null with mode Webhook: nobody may anything.
  Authorizer(Loop& loop, AuthorizationOptions options, Reviewer* reviewer);

  /// Nothing: the user may. Otherwise the answer, with the kubelet's text: 403, or 500 when nobody could tell (what was
  /// told in the last minutes counts).
  Task<std::optional<http::Response>> refusal(kube::UserInfo user, AccessQuestion question);

 private:
  Task<bool> may(kube::UserInfo user, std::string verb, std::string subresource);

  const AuthorizationOptions options_;
  Reviewer* reviewer_;
  ReviewCache<kube::SubjectAccessReview> reviews_;
};

}  // namespace keelson::agent
