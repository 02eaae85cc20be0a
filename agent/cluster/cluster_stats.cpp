// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/cluster_stats.h"

#include <algorithm>
#include <map>
#include <string_view>

namespace keelson::agent {

namespace {

/// Only so many are told as there are.
std::string rejection_label(const std::string& reason) {
  // Of those that the kubelet tells, the ones that admission here can give.
  constexpr std::string_view kKnown[] = {"AppArmor",
                                         "Evicted",
                                         "InitContainerRestartPolicyForbidden",
                                         "InvalidNodeInfo",
                                         "NodeShutdown",
                                         "OutOfcpu",
                                         "OutOfephemeral-storage",
                                         "OutOfmemory",
                                         "OutOfpods",
                                         "PodOSNotSupported",
                                         "PodOSSelectorNodeLabelDoesNotMatch",
                                         "SupplementalGroupsPolicyNotSupported",
                                         "SysctlForbidden",
                                         "UnexpectedAdmissionError"};
  if (std::ranges::find(kKnown, reason) != std::end(kKnown)) {
    return reason;
  }
  return reason.starts_with("OutOf") ? "OutOfExtendedResources" : "Other";
}

}  // namespace

void ClusterStats::rejected(const std::string& reason) {
  rejections_.add({{"reason", rejection_label(reason)}});
}

void ClusterStats::collect(const PodLedger& ledger, Stats& stats) const {
  starts.collect(stats);
  rejections_.collect(stats, "kubelet_admission_rejections_total",
                      "[ALPHA] Cumulative number pod admission rejections by the Kubelet.");
  ledger.requested_resizes().collect(
      stats, "kubelet_container_requested_resizes_total",
      "[ALPHA] Number of requested resizes, counted at the container level. Different resources on the same container "
      "are counted separately. The 'requirement' label refers to 'memory' or 'limits'; the 'operation' label can be "
      "one "
      "of 'add', 'remove', 'increase' or 'decrease'.");
  stats.gauge("kubelet_mirror_pods",
              "[ALPHA] The number of mirror pods the kubelet will try to create (one per admitted static pod)",
              static_cast<double>(ledger.mirrors().size()));
  preemptions_.collect(stats, "kubelet_preemptions",
                       "[ALPHA] Cumulative number of pod preemptions by preemption resource");
  std::map<std::string, double> pending = {{"deferred", 0}, {"infeasible", 0}};
  for (const auto& [uid, resize] : ledger.resizes()) {
    if (resize.condition) {
      ++pending[resize.condition->reason == "Infeasible" ? "infeasible" : "deferred"];
    }
  }
  for (const auto& [reason, count] : pending) {
    stats.gauge("kubelet_pod_pending_resizes", "[ALPHA] Number of pending resizes for pods.", count,
                {{"reason", reason}});
  }
  ledger.infeasible_resizes().collect(stats, "kubelet_pod_infeasible_resizes_total",
                                      "[ALPHA] Number of infeasible resizes for pods.");
  ledger.accepted_late().collect(stats, "kubelet_pod_deferred_accepted_resizes_total",
                                 "[ALPHA] Cumulative number of resizes that were accepted after being deferred.");
}

}  // namespace keelson::agent
