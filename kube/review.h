// SPDX-License-Identifier: Apache-2.0
// TokenReview (authentication.k8s.io/v1) and SubjectAccessReview (authorization.k8s.io/v1): an API server is asked
// whose a token is, and what a user may do.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace keelson::kube {

/// Who somebody is. `extra` is what the authenticator says beyond that.
struct UserInfo {
  std::string username;
  std::string uid;
  std::vector<std::string> groups;
  std::map<std::string, std::vector<std::string>> extra;
  bool operator==(const UserInfo&) const = default;
};

struct TokenReview {
  std::string token;  ///< Secret: sent, never printed.
  bool authenticated = false;
  UserInfo user;      ///< Of an authenticated one.
  std::string error;  ///< What kept the API server from telling.
  bool operator==(const TokenReview&) const = default;
};

/// What is to be done to which resource; names as in RBAC.
struct ResourceAttributes {
  std::string verb;
  std::string group;
  std::string version;
  std::string resource;
  std::string subresource;
  std::string ns;
  std::string name;
  bool operator==(const ResourceAttributes&) const = default;
};

struct SubjectAccessReview {
  UserInfo user;
  ResourceAttributes attributes;
  bool allowed = false;
  bool denied = false;  ///< By somebody's explicit word; without it, nobody has allowed it.
  std::string reason;
  std::string evaluation_error;
  bool operator==(const SubjectAccessReview&) const = default;
};

/// The body of a POST to kTokenReviewPath or kAccessReviewPath.
inline constexpr std::string_view kTokenReviewPath = "/apis/authentication.k8s.io/v1/tokenreviews";
inline constexpr std::string_view kAccessReviewPath = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
std::string encode_json(const TokenReview& review);
std::string encode_json(const SubjectAccessReview& review);
/// The answers. Kind::invalid: something else; the text shows nothing of it. A token that is repeated is dropped.
Result<TokenReview> decode_token_review(std::string_view text);
Result<SubjectAccessReview> decode_access_review(std::string_view text);

}  // namespace keelson::kube
