// SPDX-License-Identifier: Apache-2.0
// What the runtime has of one pod, as plain values: the "observed" half of plan(desired, observed).
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "kube/meta.h"
#include "kube/pod_status.h"

namespace keelson::agent {

/// One attempt at a pod's sandbox (CRI PodSandboxStatus).
struct ObservedSandbox {
  std::string id;
  uint32_t attempt = 0;
  bool ready = false;
  WallTime created_at{};
  std::vector<std::string> ips;  ///< Empty with host networking.
  kube::StringMap annotations;
  bool operator==(const ObservedSandbox&) const = default;
};

/// CRI ContainerState.
enum class RunState { created, running, exited, unknown };

/// What is in force of a container's resources; 0: not told, or no limit.
struct ObservedResources {
  int64_t cpu_shares = 0;
  int64_t cpu_quota = 0;   ///< Microseconds of each period.
  int64_t cpu_period = 0;  ///< Microseconds.
  int64_t memory_limit = 0;
  bool operator==(const ObservedResources&) const = default;
};

/// One instance of a container (CRI ContainerStatus).
struct ObservedContainer {
  std::string id;
  std::string sandbox_id;
  std::string name;
  uint32_t attempt = 0;  ///< How often the container was restarted before this instance.
  RunState state = RunState::unknown;
  WallTime created_at{};
  WallTime started_at{};
  WallTime finished_at{};
  int32_t exit_code = 0;
  std::string reason;   ///< "Completed", "Error", "OOMKilled" ...
  std::string message;  ///< The termination message once ended.
  std::string image;
  std::string image_ref;
  std::string log_path;
  std::string spec_hash;      ///< Of the spec it was made from: spec_hash().
  Duration restart_delay{0};  ///< What must pass between its end and the next instance.
  ObservedResources resources = {};
  std::optional<kube::LinuxContainerUser> user = {};
  std::vector<std::string> recursive_read_only = {};  ///< Mount paths below which nothing can be written.
  bool operator==(const ObservedContainer&) const = default;
};

/// All of a pod's sandboxes and containers, each newest attempt first. A value, read in one go and then only looked at.
struct ObservedPod {
  std::vector<ObservedSandbox> sandboxes;
  std::vector<ObservedContainer> containers;

  /// The newest instance of `name`; nullptr if there is none. Valid as long as this value is unchanged.
  const ObservedContainer* newest(std::string_view name) const {
    auto it = std::ranges::find(containers, name, &ObservedContainer::name);
    return it == containers.end() ? nullptr : &*it;
  }
  /// The newest ready sandbox, or nullptr.
  const ObservedSandbox* ready_sandbox() const {
    auto it = std::ranges::find(sandboxes, true, &ObservedSandbox::ready);
    return it == sandboxes.end() ? nullptr : &*it;
  }
  bool operator==(const ObservedPod&) const = default;
};

}  // namespace keelson::agent
