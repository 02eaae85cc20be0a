// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/token_manager.h"

#include <fmt/format.h>

#include <algorithm>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "common/log.h"

namespace keelson::agent {

namespace json = boost::json;

namespace {

constexpr std::chrono::hours kOldest{24};
constexpr std::chrono::seconds kJitter{10};
constexpr std::chrono::seconds kRetry{10};

std::string request_body(const kube::ObjectMeta& pod, const kube::ServiceAccountTokenProjection& projection) {
  json::array audiences;
  if (!projection.audience.empty()) {
    audiences.emplace_back(projection.audience);
  }
  return json::serialize(json::object{
      {"apiVersion", "authentication.k8s.io/v1"},
      {"kind", "TokenRequest"},
      {"spec",
       {{"audiences", std::move(audiences)},
        {"expirationSeconds", projection.expiration_seconds},
        {"boundObjectRef", {{"kind", "Pod"}, {"apiVersion", "v1"}, {"name", pod.name}, {"uid", pod.uid}}}}}});
}

struct Answer {
  std::string token;
  WallTime expires{};
};

/// Errors hold nothing of the text.
Result<Answer> read_answer(const std::string& body) {
  boost::system::error_code error;
  const auto value = json::parse(body, error);
  const auto* token = error ? nullptr : value.find_pointer("/status/token", error);
  const auto* expires = error ? nullptr : value.find_pointer("/status/expirationTimestamp", error);
  if (token == nullptr || expires == nullptr || !token->is_string() || !expires->is_string() ||
      token->get_string().empty()) {
    return fail(Kind::invalid, "the API server's answer holds no token");
  }
  KEELSON_TRY(const auto time, parse_rfc3339(std::string(expires->get_string())));
  return Answer{std::string(token->get_string()), time};
}

/// The projections of a pod's volumes, with the volume's name.
std::vector<std::pair<std::string, kube::ServiceAccountTokenProjection>> projections_of(const kube::Pod& pod) {
  std::vector<std::pair<std::string, kube::ServiceAccountTokenProjection>> found;
  for (const auto& volume : pod.spec.volumes) {
    for (const auto& source : volume.projected ? volume.projected->sources : std::vector<kube::VolumeProjection>()) {
      if (source.service_account_token) {
        found.emplace_back(volume.name, *source.service_account_token);
      }
    }
  }
  return found;
}

}  // namespace

TokenManager::TokenManager(Loop& loop, ApiCall call, uint64_t seed,
                           std::function<void(const std::string& uid, TokenMap)> renewed)
    : loop_(loop), call_(std::move(call)), renewed_(std::move(renewed)), random_(seed) {}

TokenMap TokenManager::PodTokens::texts() const {
  TokenMap map;
  for (const auto& [key, token] : tokens) {
    map.emplace(key, token.text);
  }
  return map;
}

Task<TokenMap> TokenManager::get(kube::Pod pod) {
  const auto wanted = projections_of(pod);
  if (wanted.empty()) {
    co_return TokenMap();
  }
  Shared& known = pods_[pod.metadata.uid];
  if (!known) {
    known = std::make_shared<PodTokens>(loop_);
    known->pod = pod.metadata;
    known->service_account = pod.spec.service_account_name.empty() ? "default" : pod.spec.service_account_name;
  }
  Shared tokens = known;
  for (const auto& [volume, projection] : wanted) {
    if (tokens->tokens.contains(token_key(projection))) {
      continue;
    }
    auto asked = co_await ask(tokens, projection);
    if (!asked) {
      const Error& error = asked.error();
      co_return std::unexpected(
          Error(error.kind(),
                fmt::format("MountVolume.SetUp failed for volume \"{}\" : failed to fetch token: {}", volume,
                            error.message()),
                error.code()));
    }
  }
  if (tokens->tasks.count() == 0) {
    tokens->tasks.spawn("renew tokens", renew(tokens));
  }
  co_return tokens->texts();
}

void TokenManager::forget(const std::string& uid) {
  if (auto it = pods_.find(uid); it != pods_.end()) {
    it->second->tasks.cancel();
    pods_.erase(it);
  }
}

Task<> TokenManager::close() {
  for (auto pods = std::exchange(pods_, {}); const auto& [uid, pod] : pods) {
    KEELSON_CO_DO(co_await pod->tasks.close());
  }
  co_return Result<>();
}

Task<> TokenManager::ask(Shared pod, kube::ServiceAccountTokenProjection projection) {
  kube::Request request{.method = "POST",
                        .path = object_path(pod->pod.ns, "serviceaccounts", pod->service_account) + "/token",
                        .body = request_body(pod->pod, projection)};
  const WallTime now = loop_.clock().wall();
  auto body = co_await call_(request, kApiDeadline);
  for (int tries = 1; !body && body.error().code() == 403 && tries < kAuthorizerTries; ++tries) {
    KEELSON_CO_DO(co_await loop_.sleep(kAuthorizerLag));
    body = co_await call_(request, kApiDeadline);
  }
  if (!body) {
    co_return std::unexpected(std::move(body).error());
  }
  KEELSON_CO_TRY(auto answer, read_answer(*body));
  const Duration life = answer.expires - now;
  const Duration jitter(std::uniform_int_distribution<Duration::rep>(0, Duration(kJitter).count())(random_));
  const Duration good = std::max<Duration>(std::min<Duration>(life / 5 * 4, kOldest) - jitter, kRetry);
  auto key = token_key(projection);
  pod->tokens.insert_or_assign(std::move(key), Token{std::move(projection), std::move(answer.token), now + good});
  co_return Result<>();
}

Task<> TokenManager::renew(Shared pod) {
  std::string trouble;
  while (true) {
    const auto next =
        std::ranges::min_element(pod->tokens, {}, [](const auto& entry) { return entry.second.renew_at; });
    KEELSON_CO_DO(co_await loop_.sleep(std::max<Duration>(next->second.renew_at - loop_.clock().wall(), Duration(0))));
    const auto projection = next->second.projection;
    auto asked = co_await ask(pod, projection);
    if (asked) {
      trouble.clear();
      renewed_(pod->pod.uid, pod->texts());
      continue;
    }
    if (asked.error().kind() == Kind::cancelled) {
      co_return std::unexpected(std::move(asked).error());
    }
    if (trouble != asked.error().message()) {
      trouble = asked.error().message();
      log::warning("pod {}: renew the token of service account {}: {}; the old one stays in use, trying again",
                   kube::full_name(pod->pod), pod->service_account, trouble);
    }
    const Duration wait =
        kRetry + Duration(std::uniform_int_distribution<Duration::rep>(0, Duration(kRetry).count())(random_));
    KEELSON_CO_DO(co_await loop_.sleep(wait));
  }
}

}  // namespace keelson::agent
