// SPDX-License-Identifier: Apache-2.0
// Specs to targets.
#include "agent/container_prober.h"

#include <random>

#include "agent/probe_target.h"

namespace keelson::agent {

namespace {

std::optional<probes::ProbePlan> plan_of(const kube::Container& container, const std::optional<kube::Probe>& probe,
                                         const std::string& pod_ip) {
  if (!probe) {
    return std::nullopt;
  }
  probes::Schedule schedule{.initial_delay = std::chrono::seconds(probe->initial_delay_seconds),
                            .period = std::chrono::seconds(probe->period_seconds),
                            .timeout = std::chrono::seconds(probe->timeout_seconds),
                            .success_threshold = probe->success_threshold,
                            .failure_threshold = probe->failure_threshold};
  return probes::ProbePlan{probe_target(container, *probe, pod_ip), schedule};
}

ProbeKind kind_of(probes::ProbeKind kind) {
  switch (kind) {
    case probes::ProbeKind::liveness:
      return ProbeKind::liveness;
    case probes::ProbeKind::readiness:
      return ProbeKind::readiness;
    case probes::ProbeKind::startup:
      return ProbeKind::startup;
  }
  return ProbeKind::liveness;
}

double random_part() {
  thread_local std::minstd_rand engine{std::random_device{}()};
  return std::uniform_real_distribution<double>(0, 1)(engine);
}

Task<probes::CommandOutcome> run_command(cri::RuntimeClient* service, std::string id, std::vector<std::string> command,
                                         Duration limit) {
  KEELSON_CO_TRY(auto result, co_await service->exec_sync(std::move(id), std::move(command), limit));
  co_return probes::CommandOutcome{result.exit_code, result.out + result.error};
}

}  // namespace

ContainerProber::ContainerProber(Loop& loop, cri::RuntimeClient& service)
    : loop_(loop),
      service_(service),
      prober_(
          loop,
          [this](probes::Subject subject, probes::Target target, Duration limit) {
            return try_once(std::move(subject), std::move(target), limit);
          },
          random_part) {}

asio::awaitable<probes::TryResult> ContainerProber::try_once(probes::Subject subject, probes::Target target,
                                                             Duration limit) {
  auto run = [service = &service_, id = subject.id](std::vector<std::string> command, Duration within) {
    return run_command(service, id, std::move(command), within);
  };
  return probes::try_once(loop_, std::move(target), limit, run);
}

void ContainerProber::watch(const kube::Pod& pod, const ObservedContainer& instance, const std::string& pod_ip,
                            ProbeState known, std::function<void(ProbeNews)> news) {
  const auto* container = kube::find_container(pod.spec, instance.name);
  if (container == nullptr) {
    return;
  }
  probes::Subject subject{.group = pod.metadata.uid,
                          .container = instance.name,
                          .id = instance.id,
                          .started_at = instance.started_at,
                          .startup = plan_of(*container, container->startup_probe, pod_ip),
                          .liveness = plan_of(*container, container->liveness_probe, pod_ip),
                          .readiness = plan_of(*container, container->readiness_probe, pod_ip),
                          .started = known.started,
                          .ready = known.ready};
  auto& probed = pods_[pod.metadata.uid];
  probed.ns = pod.metadata.ns;
  probed.name = pod.metadata.name;
  probed.containers.insert(instance.name);
  prober_.watch(std::move(subject),
                [news = std::move(news), name = instance.name, id = instance.id](const probes::News& told) {
                  news({.kind = kind_of(told.kind),
                        .name = name,
                        .id = id,
                        .decided = told.decided,
                        .success = told.success,
                        .message = told.text,
                        .error = told.error,
                        .warning = told.warning});
                });
}

void ContainerProber::pod_ends(const std::string& uid) {
  prober_.end_group(uid);
}

void ContainerProber::forget(const std::string& uid, const std::string& container) {
  prober_.forget(uid, container);
  if (const auto pod = pods_.find(uid); pod != pods_.end()) {
    pod->second.containers.erase(container);
    if (pod->second.containers.empty()) {
      pods_.erase(pod);
    }
  }
}

void ContainerProber::collect(Stats& stats) const {
  constexpr const char* kKinds[] = {"Liveness", "Readiness", "Startup"};
  for (const auto& tally : prober_.tallies()) {
    const auto pod = pods_.find(tally.group);
    if (pod == pods_.end()) {
      continue;
    }
    if (tally.durations.count() > 0) {
      stats.histogram("prober_probe_duration_seconds", "[ALPHA] Duration in seconds for a probe response.",
                      tally.durations,
                      {{"container", tally.container},
                       {"namespace", pod->second.ns},
                       {"pod", pod->second.name},
                       {"probe_type", kKinds[static_cast<size_t>(tally.kind)]}});
    }
    for (const auto& [result, count] : {std::pair("successful", tally.succeeded), std::pair("failed", tally.failed),
                                        std::pair("unknown", tally.unknown)}) {
      if (count > 0) {
        stats.counter("prober_probe_total",
                      "[BETA] Cumulative number of a liveness, readiness or startup probe for a container by result.",
                      static_cast<double>(count),
                      {{"container", tally.container},
                       {"namespace", pod->second.ns},
                       {"pod", pod->second.name},
                       {"pod_uid", tally.group},
                       {"probe_type", kKinds[static_cast<size_t>(tally.kind)]},
                       {"result", result}});
      }
    }
  }
}

}  // namespace keelson::agent
