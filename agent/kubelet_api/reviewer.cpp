// SPDX-License-Identifier: Apache-2.0
#include "agent/kubelet_api/reviewer.h"

#include "kube/client/api.h"

namespace keelson::agent {

namespace {

constexpr auto kLimit = std::chrono::seconds(10);

}  // namespace

Task<std::string> ApiReviewer::post(std::string_view path, std::string body) {
  kube::Request request{.method = "POST", .path = std::string(path), .body = std::move(body)};
  co_return co_await kube::call(client_, std::move(request), kLimit);
}

Task<kube::TokenReview> ApiReviewer::review(kube::TokenReview question) {
  KEELSON_CO_TRY(const auto answer, co_await post(kube::kTokenReviewPath, kube::encode_json(question)));
  co_return kube::decode_token_review(answer);
}

Task<kube::SubjectAccessReview> ApiReviewer::review(kube::SubjectAccessReview question) {
  KEELSON_CO_TRY(const auto answer, co_await post(kube::kAccessReviewPath, kube::encode_json(question)));
  co_return kube::decode_access_review(answer);
}

}  // namespace keelson::agent
