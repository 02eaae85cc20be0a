// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/token_manager.h"

#include <algorithm>

#include "agent/config/pod_storage.h"
#include "common/log.h"

namespace keelson::agent {

namespace {

constexpr std::chrono::hours kOldest{24};
constexpr std::chrono::seconds kJitter{10};
constexpr std::chrono::seconds kRetry{10};

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
    map.emplace(key, token.token.text);
  }
  return map;
}

TokenManager::Shared TokenManager::pod_of(const kube::Pod& pod) {
  Shared& known = pods_[pod.metadata.uid];
  if (!known) {
    known = std::make_shared<PodTokens>(loop_);
    known->pod = pod.metadata;
    known->service_account = service_account_of(pod);
  }
  return known;
}

Task<TokenMap> TokenManager::get(kube::Pod pod) {
  const auto wanted = projections_of(pod);
  if (wanted.empty()) {
    co_return TokenMap();
  }
  Shared tokens = pod_of(pod);
  for (const auto& [volume, projection] : wanted) {
    if (tokens->tokens.contains(token_key(projection))) {
      continue;
    }
    auto asked = co_await ask(tokens, projection);
    if (!asked) {
      co_return std::unexpected(mount_error(std::move(asked).error().with_context("failed to fetch token"), volume));
    }
  }
  if (tokens->tasks.count() == 0) {
    tokens->tasks.spawn("renew tokens", renew(tokens));
  }
  co_return tokens->texts();
}

Task<std::string> TokenManager::get_one(kube::Pod pod, TokenWanted wanted) {
  Shared known = pod_of(pod);
  const std::pair key(wanted.audience, wanted.account_uid);
  if (const auto it = known->single.find(key);
      it != known->single.end() && loop_.clock().wall() < it->second.renew_at) {
    co_return it->second.text;
  }
  auto issued = co_await issue(known, std::move(wanted));
  if (issued) {
    known->single[key] = *issued;
    co_return std::move(issued->text);
  }
  const auto old = known->single.find(key);
  if (old == known->single.end() || old->second.expires <= loop_.clock().wall() ||
      issued.error().kind() == Kind::cancelled) {
    co_return std::unexpected(std::move(issued).error().with_context("failed to fetch token"));
  }
  log::warning("pod {}: renew a token of service account {}: {}; the old one stays in use", kube::full_name(known->pod),
               known->service_account, issued.error().message());
  co_return old->second.text;
}

Task<ServiceAccount> TokenManager::account(kube::Pod pod) {
  auto request = service_account_request(pod.metadata, service_account_of(pod));
  KEELSON_CO_TRY(const auto body, co_await call_of_pod(loop_, call_, std::move(request)));
  co_return read_service_account(body);
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

Task<TokenManager::Token> TokenManager::issue(Shared pod, TokenWanted wanted) {
  const WallTime now = loop_.clock().wall();
  KEELSON_CO_TRY(const auto body,
                 co_await call_of_pod(loop_, call_, token_request(pod->pod, pod->service_account, wanted)));
  KEELSON_CO_TRY(auto answer, read_token(body));
  const Duration life = answer.expires - now;
  const Duration jitter(std::uniform_int_distribution<Duration::rep>(0, Duration(kJitter).count())(random_));
  const Duration good = std::max<Duration>(std::min<Duration>(life / 5 * 4, kOldest) - jitter, kRetry);
  co_return Token{.text = std::move(answer.text), .renew_at = now + good, .expires = answer.expires};
}

Task<> TokenManager::ask(Shared pod, kube::ServiceAccountTokenProjection projection) {
  TokenWanted wanted{.audience = projection.audience, .expiration_seconds = projection.expiration_seconds};
  KEELSON_CO_TRY(auto token, co_await issue(pod, std::move(wanted)));
  auto key = token_key(projection);
  pod->tokens.insert_or_assign(std::move(key), VolumeToken{std::move(projection), std::move(token)});
  co_return Result<>();
}

Task<> TokenManager::renew(Shared pod) {
  std::string trouble;
  while (true) {
    const auto next =
        std::ranges::min_element(pod->tokens, {}, [](const auto& entry) { return entry.second.token.renew_at; });
    KEELSON_CO_DO(
        co_await loop_.sleep(std::max<Duration>(next->second.token.renew_at - loop_.clock().wall(), Duration(0))));
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
