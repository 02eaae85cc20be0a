// SPDX-License-Identifier: Apache-2.0
// ContainerProbes by the prober: a pod's probes in the prober's words.
#pragma once

#include <map>
#include <set>
#include <string>

#include "agent/container_probes.h"
#include "common/stats.h"
#include "cri/client/client.h"
#include "probes/prober.h"

namespace keelson::agent {

/// Belongs to the agent's loop; commands run through the runtime.
class ContainerProber : public ContainerProbes {
 public:
  ContainerProber(Loop& loop, cri::RuntimeClient& service);

  void watch(const kube::Pod& pod, const ObservedContainer& instance, const std::string& pod_ip, ProbeState known,
             std::function<void(ProbeNews)> news) override;
  void pod_ends(const std::string& uid) override;
  void forget(const std::string& uid, const std::string& container) override;

  /// prober_probe_total and prober_probe_duration_seconds of the containers that are probed.
  void collect(Stats& stats) const;

 private:
  asio::awaitable<probes::TryResult> try_once(probes::Subject subject, probes::Target target, Duration limit);

  Loop& loop_;
  cri::RuntimeClient& service_;
  probes::Prober prober_;
  /// Who is probed, by uid.
  struct ProbedPod {
    std::string ns, name;
    std::set<std::string> containers;
  };
  std::map<std::string, ProbedPod> pods_;
};

}  // namespace keelson::agent
