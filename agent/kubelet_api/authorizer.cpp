// SPDX-License-Identifier: Apache-2.0
#include "agent/kubelet_api/authorizer.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "common/log.h"

namespace keelson::agent {

namespace {

constexpr size_t kLongestKept = 10'000;  // the kubelet's bound, so that nobody fills the cache with words of his own

struct Word {
  std::string_view from, to;
};
constexpr Word kVerbs[] = {
    {"POST", "create"}, {"GET", "get"}, {"PUT", "update"}, {"PATCH", "patch"}, {"DELETE", "delete"}};
constexpr Word kFine[] = {{"pods", "pods"}, {"healthz", "healthz"}, {"configz", "configz"}, {"runningpods", "pods"}};
constexpr Word kOwn[] = {{"stats", "stats"},           {"metrics", "metrics"}, {"logs", "log"},
                         {"checkpoint", "checkpoint"}, {"statusz", "statusz"}, {"flagz", "configz"}};

template <size_t N>
std::string_view find(const Word (&words)[N], std::string_view from) {
  const auto* found = std::ranges::find(words, from, &Word::from);
  return found == std::end(words) ? std::string_view() : found->to;
}

}  // namespace

AccessQuestion question_of(const http::Request& request) {
  AccessQuestion question{.verb = std::string(find(kVerbs, request.method)), .subresources = {}};
  const std::string_view path = request.target.path.empty() ? "" : std::string_view(request.target.path[0]);
  if (const auto own = find(kOwn, path); !own.empty()) {
    question.subresources.emplace_back(own);
    return question;
  }
  if (const auto fine = find(kFine, path); !fine.empty()) {
    question.subresources.emplace_back(fine);
  }
  question.subresources.emplace_back("proxy");
  return question;
}

Authorizer::Authorizer(Loop& loop, AuthorizationOptions options, Reviewer* reviewer)
    : options_(std::move(options)), reviewer_(reviewer), reviews_(loop) {}

Task<bool> Authorizer::may(kube::UserInfo user, std::string verb, std::string subresource) {
  if (reviewer_ == nullptr) {
    co_return fail(Kind::unavailable, "there is no API server to ask");
  }
  kube::SubjectAccessReview question{.user = std::move(user),
                                     .attributes = {.verb = std::move(verb),
                                                    .version = "v1",
                                                    .resource = "nodes",
                                                    .subresource = std::move(subresource),
                                                    .name = options_.node_name}};
  auto key = kube::encode_json(question);
  const bool kept = key.size() <= kLongestKept;
  auto ask = [reviewer = reviewer_, question = std::move(question)] { return reviewer->review(question); };
  auto keep_for = [this, kept](const kube::SubjectAccessReview& review) {
    return !kept ? Duration::zero() : review.allowed ? options_.allowed_ttl : options_.denied_ttl;
  };
  KEELSON_CO_TRY(const auto review, co_await reviews_.get(std::move(key), std::move(ask), std::move(keep_for)));
  co_return review.allowed && !review.denied;
}

Task<std::optional<http::Response>> Authorizer::refusal(kube::UserInfo user, AccessQuestion question) {
  if (!options_.webhook) {
    co_return std::nullopt;
  }
  for (const auto& subresource : question.subresources) {
    const auto allowed = co_await may(user, question.verb, subresource);
    if (!allowed) {
      log::warning("kubelet API: may {} {} nodes/{}: {}", user.username, question.verb, subresource,
                   allowed.error().message());
      co_return http::text(fmt::format("Authorization error (user={}, verb={}, resource=nodes, subresource={})",
                                       user.username, question.verb, subresource),
                           500);
    }
    if (*allowed) {
      co_return std::nullopt;
    }
  }
  co_return http::text(fmt::format("Forbidden (user={}, verb={}, resource=nodes, subresource(s)=[{}])\n", user.username,
                                   question.verb, fmt::join(question.subresources, " ")),
                       403);
}

}  // namespace keelson::agent
