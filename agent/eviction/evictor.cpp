// SPDX-License-Identifier: Apache-2.0
#include "agent/eviction/evictor.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/critical_pod.h"
#include "common/log.h"

namespace keelson::agent {

namespace {

constexpr const char* kEvicted = "Evicted";
constexpr std::chrono::seconds kAtOnce{1};
constexpr Duration kGivenBack = std::chrono::seconds(1);
constexpr std::chrono::seconds kDeadLimit{10};
constexpr std::chrono::seconds kCleanUpLimit{30};  // the kubelet's podCleanupTimeout

std::vector<Candidate> candidates_of(const std::vector<kube::Pod>& pods, const metrics::NodeUse& use) {
  std::vector<Candidate> candidates;
  for (const auto& pod : pods) {
    const auto found =
        std::ranges::find(use.pods, pod.metadata.uid, [](const metrics::PodUse& one) { return one.place.uid; });
    candidates.push_back({&pod, found != use.pods.end() ? &*found : nullptr});
  }
  return candidates;
}

}  // namespace

Evictor::Evictor(Loop& loop, Agent& agent, EvictionSources& sources, EvictionOptions options)
    : loop_(loop),
      agent_(agent),
      sources_(sources),
      options_(std::move(options)),
      watch_(options_.thresholds, options_.pressure_transition) {}

Task<> Evictor::run() {
  while (true) {
    auto evicted = co_await look();
    if (!evicted && evicted.error().kind() == Kind::cancelled) {
      co_return std::unexpected(std::move(evicted).error());
    }
    if (!evicted && !std::exchange(failing_, true)) {
      log::warning("look at what is left of the node: {}; no pod is evicted, trying again", evicted.error().message());
    }
    failing_ = failing_ && !evicted;
    // What a pod had may take a moment to be given back.
    KEELSON_CO_DO(co_await loop_.sleep(evicted && *evicted ? kGivenBack : options_.interval));
  }
}

Task<bool> Evictor::look() {
  observed_at_ = loop_.clock().steady();
  KEELSON_CO_TRY(const auto observations, co_await sources_.observe());
  const auto view = watch_.observe(observations, loop_.clock().steady());
  if (std::exchange(told_, view.pressures) != view.pressures) {
    options_.tell(view.pressures);
  }
  const auto pods = active_pods();
  if (std::ranges::any_of(pods, limits_storage)) {
    KEELSON_CO_TRY(const auto use, co_await sources_.measure(true));
    if (auto evicted = evict_over_limits(pods, use); !evicted.empty()) {
      KEELSON_CO_DO(co_await wait_ended(std::move(evicted)));
      co_return true;
    }
  }
  if (view.due.empty()) {
    co_return false;
  }
  co_return co_await reclaim(view.due, observations);
}

std::vector<kube::Pod> Evictor::active_pods() const {
  auto pods = agent_.pods();
  std::erase_if(pods, [](const kube::Pod& pod) { return is_final(pod.status.phase); });
  return pods;
}

std::vector<std::string> Evictor::evict_over_limits(const std::vector<kube::Pod>& pods, const metrics::NodeUse& use) {
  std::vector<std::string> evicted;
  for (const auto& candidate : candidates_of(pods, use)) {
    const auto exceeded = exceeded_storage(candidate, use.images_apart);
    if (exceeded &&
        evict(*candidate.pod, exceeded->signal,
              {.phase = kube::PodPhase::failed, .reason = kEvicted, .message = exceeded->message}, kAtOnce)) {
      evicted.push_back(candidate.pod->metadata.uid);
    }
  }
  return evicted;
}

Task<bool> Evictor::reclaim(const std::vector<EvictionThreshold>& due, const Observations& observations) {
  const auto& threshold = due.front();
  const auto resource = resource_of(threshold.signal);
  options_.record({.warning = true,
                   .reason = "EvictionThresholdMet",
                   .message = fmt::format("Attempting to reclaim {}", resource)});
  if (is_of_disk(threshold.signal)) {
    KEELSON_CO_TRY(const bool enough, co_await free_node(threshold.signal));
    if (enough) {
      co_return false;
    }
  }
  KEELSON_CO_TRY(const auto use, co_await sources_.measure(is_of_disk(threshold.signal)));
  const auto pods = active_pods();
  auto candidates = candidates_of(pods, use);
  rank(candidates, threshold.signal, use.images_apart);
  for (const auto& candidate : candidates) {
    const auto message = eviction_message(threshold.signal, candidate, due, observations);
    const auto own = std::chrono::seconds(candidate.pod->spec.termination_grace_period_seconds);
    const auto grace = threshold.hard() ? kAtOnce : std::min(options_.max_pod_grace, own);
    if (evict(*candidate.pod, std::string(to_string(threshold.signal)),
              {.phase = kube::PodPhase::failed, .reason = kEvicted, .message = message, .disruption = message},
              grace)) {
      for (const auto& crossed_one : due) {
        ages_.observe({{"eviction_signal", std::string(to_string(crossed_one.signal))}},
                      loop_.clock().steady() - observed_at_);
      }
      KEELSON_CO_DO(co_await wait_ended({candidate.pod->metadata.uid}));
      co_return true;
    }
  }
  log::warning("{} is short, and no pod may be evicted for it", resource);
  co_return false;
}

Task<bool> Evictor::free_node(EvictionSignal signal) {
  log::info("{} is crossed: dead containers and unused images go first", to_string(signal));
  // An image of a dead container is in use.
  const SteadyTime end = loop_.clock().steady() + kDeadLimit;
  while (agent_.free_dead() > 0 && loop_.clock().steady() < end) {
    KEELSON_CO_DO(co_await loop_.sleep(std::chrono::seconds(1)));
  }
  if (auto freed = co_await sources_.free_images(); !freed) {
    if (freed.error().kind() == Kind::cancelled) {
      co_return std::unexpected(std::move(freed).error());
    }
    log::warning("remove unused images: {}", freed.error().message());
  }
  KEELSON_CO_TRY(const auto observations, co_await sources_.observe());
  co_return crossed(watch_.thresholds(), observations, true).empty();
}

bool Evictor::evict(const kube::Pod& pod, const std::string& signal, Verdict verdict, std::chrono::seconds grace) {
  const auto name = kube::full_name(pod.metadata);
  if (is_critical(pod)) {
    log::debug("pod {} is critical, and not evicted", name);
    return false;
  }
  const std::string message = verdict.message;
  if (!agent_.fail_pod(pod.metadata.uid, std::move(verdict), grace.count())) {
    return false;
  }
  log::info("pod {} is evicted: {}", name, message);
  agent_.events().record({.pod = pod.metadata, .container = {}}, EventType::warning, kEvicted, message);
  ++evictions_[signal];
  return true;
}

Task<> Evictor::wait_ended(std::vector<std::string> uids) {
  KEELSON_CO_TRY(const bool ended, co_await agent_.wait_ended(std::move(uids), kCleanUpLimit));
  if (!ended) {
    log::warning("evicted pods have not ended within {} s; going on", kCleanUpLimit.count());
  }
  co_return Result<>();
}

void Evictor::collect(Stats& stats) const {
  for (const auto& [signal, count] : evictions_) {
    stats.counter("kubelet_evictions", "[ALPHA] Cumulative number of pod evictions by eviction signal",
                  static_cast<double>(count), {{"eviction_signal", signal}});
  }
  ages_.collect(stats, "kubelet_eviction_stats_age_seconds",
                "[ALPHA] Time between when stats are collected, and when pod is evicted based on those stats by "
                "eviction signal");
}

}  // namespace keelson::agent
