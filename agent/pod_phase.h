// SPDX-License-Identifier: Apache-2.0
// The phase of a pod by what its containers do now.
#pragma once

#include "agent/plan.h"

namespace keelson::agent {

/// Pending or Running for a pod without a verdict; a final phase for one that is being removed and where nothing runs.
/// `said` is what is said of its containers: one that waits counts as begun if an end of it is known. (kubelet
/// getPhase)
kube::PodPhase current_phase(const kube::Pod& pod, const ObservedPod& observed, const PodMemory& memory,
                             const std::vector<kube::ContainerStatus>& said);

}  // namespace keelson::agent
