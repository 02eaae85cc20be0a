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

}  // namespace

void LeavingPods::leaves(const kube::Pod& pod, bool for_good) {
  if (!pod.status.pod_ips.empty()) {
    known_[pod.metadata.uid] = {.pod = {.ns = pod.metadata.ns,
                                        .name = pod.metadata.name,
                                        .addresses = pod.status.pod_ips,
                                        .on_host_network = pod.spec.host_network},
                                .for_good = for_good,
                                .gone = {}};
  }
}

bool LeavingPods::pod_changed(const kube::Pod& pod, bool gone, SteadyTime now) {
  const auto before = known_.size();
  std::erase_if(known_, [&](const auto& entry) {
    const auto& [uid, known] = entry;
    const bool own = uid == pod.metadata.uid;
    return (own && !gone && !known.for_good && all_run(pod)) || (!own && !gone && replaces(pod, known.pod)) ||
           (known.gone && now - *known.gone > kKept);
  });
  if (auto known = known_.find(pod.metadata.uid); known != known_.end() && gone && !known->second.gone) {
    known->second.gone = now;
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
