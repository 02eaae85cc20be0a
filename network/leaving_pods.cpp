// SPDX-License-Identifier: Apache-2.0
#include "network/leaving_pods.h"

#include <algorithm>

namespace keelson::network {

namespace {

/// By then the control plane has said it, or is away for long; and the address, which no pod has, leads nowhere.
constexpr auto kKept = std::chrono::minutes(10);

bool replaces(const kube::Pod& pod, const dataplane::LeavingPod& leaving) {
  if (leaving.on_host_network) {
    return pod.metadata.name == leaving.name && pod.metadata.ns == leaving.ns;
  }
  return std::ranges::any_of(pod.status.pod_ips, [&](const auto& address) {
    return std::ranges::find(leaving.addresses, address) != leaving.addresses.end();
  });
}

bool all_run(const kube::Pod& pod) {
  return std::ranges::all_of(pod.status.container_statuses,
                             [](const auto& container) { return container.state.running.has_value(); });
}

std::vector<std::string> instances_of(const kube::Pod& pod) {
  std::vector<std::string> ids;
  for (const auto& container : pod.status.container_statuses) {
    ids.push_back(container.container_id);
  }
  return ids;
}

/// Beyond its grace, for a container to end.
constexpr auto kKillMargin = std::chrono::seconds(10);

}  // namespace

void LeavingPods::leaves(const kube::Pod& pod, bool for_good) {
  if (pod.status.pod_ips.empty()) {
    return;
  }
  auto& known = known_[pod.metadata.uid];
  known = {.pod = {.ns = pod.metadata.ns,
                   .name = pod.metadata.name,
                   .addresses = pod.status.pod_ips,
                   .on_host_network = pod.spec.host_network},
           .for_good = for_good,
           .instances = instances_of(pod),
           .grace = std::chrono::seconds(pod.spec.termination_grace_period_seconds),
           .heard = {},
           .gone = known.gone};
}

bool LeavingPods::Known::is_back(const kube::Pod& now_so, SteadyTime now) const {
  const bool anew = seen_ended || instances_of(now_so) != instances;
  return !for_good && all_run(now_so) && (anew || (heard && now - *heard > grace + kKillMargin));
}

bool LeavingPods::pod_changed(const kube::Pod& pod, bool gone, SteadyTime now) {
  const auto before = known_.size();
  std::erase_if(known_, [&](const auto& entry) {
    const auto& [uid, known] = entry;
    const bool own = uid == pod.metadata.uid;
    return (own && !gone && known.is_back(pod, now)) || (!own && !gone && replaces(pod, known.pod)) ||
           (known.gone && now - *known.gone > kKept);
  });
  if (auto found = known_.find(pod.metadata.uid); found != known_.end()) {
    auto& known = found->second;
    known.heard = known.heard.value_or(now);
    known.seen_ended = known.seen_ended || !all_run(pod);
    known.gone = gone ? known.gone.value_or(now) : known.gone;
  }
  return known_.size() != before;
}

std::vector<dataplane::LeavingPod> LeavingPods::pods() const {
  std::vector<dataplane::LeavingPod> pods;
  for (const auto& [uid, known] : known_) {
    pods.push_back(known.pod);
  }
  return pods;
}

}  // namespace keelson::network
