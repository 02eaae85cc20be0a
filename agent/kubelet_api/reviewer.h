// SPDX-License-Identifier: Apache-2.0
// Who is asked whose a token is, and what a user may do.
#pragma once

#include "common/loop.h"
#include "kube/client/client.h"
#include "kube/review.h"

namespace keelson::agent {

/// An API server, or in tests one that fails as the test says. All calls on one loop.
class Reviewer {
 public:
  virtual ~Reviewer() = default;
  /// The same with its status filled in. Kind::unavailable, timeout: nobody answered; permission: we may not ask.
  virtual Task<kube::TokenReview> review(kube::TokenReview question) = 0;
  virtual Task<kube::SubjectAccessReview> review(kube::SubjectAccessReview question) = 0;
};

/// The cluster's. Each question has 10 s, as the kubelet's have.
class ApiReviewer : public Reviewer {
 public:
  /// `client` outlives it.
  explicit ApiReviewer(kube::Client& client) : client_(client) {}
  Task<kube::TokenReview> review(kube::TokenReview question) override;
  Task<kube::SubjectAccessReview> review(kube::SubjectAccessReview question) override;

 private:
  Task<std::string> post(std::string_view path, std::string body);
  kube::Client& client_;
};

}  // namespace keelson::agent
