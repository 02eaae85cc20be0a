// SPDX-License-Identifier: Apache-2.0
// What containers are given of the node for themselves, beside what their specs say by name: devices of device plugins,
// CPUs of their own. Each who gives something is an Allotter; NodePodConfigs asks them all.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/loop.h"
#include "cri/client/types.h"
#include "kube/pod.h"

namespace keelson::agent {

/// Of one container.
struct ContainerAllotment {
  std::string cpus;       ///< It runs on these alone, a list as of cpuset.cpus ("0-1,4"); empty: on any.
  bool own_cpus = false;  ///< No other pod has them, so no quota of CPU time holds this container, nor its pod.
  std::vector<std::pair<std::string, std::string>> envs;  ///< Its spec's own come after, and win.
  std::vector<cri::Mount> mounts;
  std::vector<cri::Device> devices;
  cri::StringMap annotations;
  std::vector<std::string> cdi_devices;  ///< "vendor.com/class=name"
};

/// Why a pod does not get what it wants, and never will: it fails with this.
struct AllotmentRefusal {
  std::string reason;  ///< "UnexpectedAdmissionError", "SMTAlignmentError"
  std::string message;
  bool operator==(const AllotmentRefusal&) const = default;
};

/// All calls on the agent's loop; calls that wait, about one pod, do not overlap.
class Allotter {
 public:
  virtual ~Allotter() = default;
  /// Before anything else is made for the pod. Idempotent: a pod keeps what it has, over restarts of the agent, too;
  /// what it is given is on disk before the answer. nullopt: it has what it wants, which may be nothing. An error may
  /// be tried again.
  virtual Task<std::optional<AllotmentRefusal>> allot(kube::Pod pod) = 0;
  /// Before a container is made, each time. The error is the text of its CreateContainerError.
  virtual Task<> prepare_container(kube::Pod, std::string) { co_return Result<>(); }
  /// Of a pod that was allotted to; else empty.
  virtual ContainerAllotment of(const kube::Pod& pod, const std::string& container) const = 0;
  /// None of the pod's containers runs any more. Idempotent.
  virtual void release(const std::string& uid) = 0;
};

/// A pod is to fail: an allotter has refused it.
using PodRefused = std::function<void(const kube::Pod& pod, const AllotmentRefusal& refusal)>;

}  // namespace keelson::agent
