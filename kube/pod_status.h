// SPDX-License-Identifier: Apache-2.0
// What the node says about a pod: phase, conditions, addresses, and the state of each container.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kube/container.h"
#include "kube/meta.h"
#include "kube/quantity.h"

namespace keelson::kube {

enum class PodPhase { pending, running, succeeded, failed, unknown };  ///< "Pending" ...
enum class QosClass { guaranteed, burstable, best_effort };            ///< "Guaranteed", "Burstable", "BestEffort".
enum class ConditionStatus { true_status, false_status, unknown };     ///< "True", "False", "Unknown".
std::string_view to_string(PodPhase phase);
std::string_view to_string(QosClass qos);
std::string_view to_string(ConditionStatus status);

struct PodCondition {
  std::string
      type;  ///< "Ready", "Initialized", "ContainersReady", "PodScheduled", "PodReadyToStartContainers" or a gate's.
  ConditionStatus status = ConditionStatus::unknown;
  int64_t observed_generation = 0;
  std::optional<WallTime> last_probe_time;
  std::optional<WallTime> last_transition_time;
  std::string reason;
  std::string message;
  bool operator==(const PodCondition&) const = default;
};

struct ContainerWaiting {
  std::string reason;  ///< "ContainerCreating", "CrashLoopBackOff" ...
  std::string message;
  bool operator==(const ContainerWaiting&) const = default;
};

struct ContainerRunning {
  std::optional<WallTime> started_at;
  bool operator==(const ContainerRunning&) const = default;
};

struct ContainerTerminated {
  int32_t exit_code = 0;  ///< 128 + signal where a signal ended it.
  int32_t signal = 0;
  std::string reason;   ///< "Completed", "Error", "OOMKilled" ...
  std::string message;  ///< From the termination message file.
  std::optional<WallTime> started_at;
  std::optional<WallTime> finished_at;
  std::string container_id;
  bool operator==(const ContainerTerminated&) const = default;
};

/// At most one is set; none means "waiting" without a reason.
struct ContainerState {
  std::optional<ContainerWaiting> waiting;
  std::optional<ContainerRunning> running;
  std::optional<ContainerTerminated> terminated;
  bool operator==(const ContainerState&) const = default;
};

/// A volume mount as it came out (KEP-3857).
struct VolumeMountStatus {
  std::string name;
  std::string mount_path;
  bool read_only = false;
  std::optional<RecursiveReadOnly> recursive_read_only;  ///< Of a read-only one: disabled or enabled.
  bool operator==(const VolumeMountStatus&) const = default;
};

/// Whom the first process runs as (KEP-3619).
struct LinuxContainerUser {
  int64_t uid = 0;
  int64_t gid = 0;
  std::vector<int64_t> supplemental_groups;
  bool operator==(const LinuxContainerUser&) const = default;
};
struct ContainerUser {
  std::optional<LinuxContainerUser> linux_user;
  bool operator==(const ContainerUser&) const = default;
};

struct ContainerStatus {
  std::string name;
  ContainerState state;
  ContainerState last_state;  ///< How the previous instance ended.
  bool ready = false;
  int32_t restart_count = 0;
  std::string image;
  std::string image_id;
  std::string container_id;                       ///< "<runtime>://<id>", e.g. "keelson://3f...".
  std::optional<bool> started;                    ///< True once the startup probe has passed.
  ResourceList allocated_resources;               ///< The requests that the node has set aside for it (KEP-1287).
  std::optional<ResourceRequirements> resources;  ///< What is in force; of one that does not run, what was given.
  std::vector<VolumeMountStatus> volume_mounts;
  std::optional<ContainerUser> user;
  bool operator==(const ContainerStatus&) const = default;
};

struct PodStatus {
  int64_t observed_generation = 0;
  std::optional<PodPhase> phase;
  std::vector<PodCondition> conditions;
  std::string message;
  std::string reason;  ///< Of the pod as a whole: "Evicted", "DeadlineExceeded" ...
  std::string nominated_node_name;
  std::string host_ip;
  std::vector<std::string> host_ips;
  std::string pod_ip;  ///< The first of pod_ips.
  std::vector<std::string> pod_ips;
  std::optional<WallTime> start_time;  ///< When the node accepted the pod.
  std::vector<ContainerStatus> init_container_statuses;
  std::vector<ContainerStatus> container_statuses;
  std::vector<ContainerStatus> ephemeral_container_statuses;
  std::optional<QosClass> qos_class;
  bool operator==(const PodStatus&) const = default;
};

/// Nothing of a pod in this phase runs again.
inline bool is_final(const std::optional<PodPhase>& phase) {
  return phase == PodPhase::succeeded || phase == PodPhase::failed;
}

/// Whether the pod's Ready condition is True.
inline bool is_ready(const PodStatus& status) {
  return std::ranges::any_of(
      status.conditions, [](const auto& c) { return c.type == "Ready" && c.status == ConditionStatus::true_status; });
}

}  // namespace keelson::kube
