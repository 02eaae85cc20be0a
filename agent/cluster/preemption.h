// SPDX-License-Identifier: Apache-2.0
// Which pods make room for a critical one (kubelet pkg/kubelet/preemption). Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/cluster/admission.h"
#include "kube/pod.h"

namespace keelson::agent {

/// The pods of `others` that end for `pod`, so that what it lacks is free: none Guaranteed if Burstable and BestEffort
/// ones do, no Burstable one if BestEffort ones do; of each class as few as may be, and those that request least.
/// nullopt: not even all that it may preempt would do. Valid as long as `others` are.
std::optional<std::vector<const kube::Pod*>> preempted_for(const kube::Pod& pod,
                                                           const std::vector<const kube::Pod*>& others,
                                                           const Shortage& shortage);

/// A critical pod preempts what is not, and a static one what is not static; of two alike, the one of higher priority
/// does (kubelet types.Preemptable).
bool may_preempt(const kube::Pod& preemptor, const kube::Pod& preemptee);

}  // namespace keelson::agent
