// SPDX-License-Identifier: Apache-2.0
// What a node has, and what of it pods may use (Node Allocatable). Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/node/eviction_signals.h"
#include "agent/node/machine.h"
#include "common/result.h"
#include "kube/quantity.h"

namespace keelson::agent {

/// An amount, or a share of what there is.
struct ReservedAmount {
  kube::Quantity amount;
  std::optional<double> share;  ///< 0.15 for "15%"

  kube::Quantity of(const kube::Quantity& capacity) const;
};
using ReservedList = std::map<std::string, ReservedAmount>;

/// What of the node is not for pods.
struct Reservation {
  ReservedList system;        ///< For daemons of the system: sshd, journald ...
  ReservedList kube;          ///< For the agent and the runtime.
  int64_t reserved_cpus = 0;  ///< reservedSystemCPUs: how many; then `system` and `kube` reserve no CPU beside.
  std::vector<EvictionThreshold> eviction_hard;
};

/// "cpu=500m", "memory=1Gi", "ephemeral-storage=1Gi", "pid=1000" as the kubelet; or "memory=15%", so that one
/// configuration does for machines of all sizes. Kind::invalid names what is wrong.
Result<ReservedList> parse_reservation(const std::vector<std::string>& texts);

/// What device plugins have told of, by the names of their resources; zero where one has gone.
struct DeviceResources {
  kube::ResourceList capacity;
  kube::ResourceList allocatable;  ///< Of the healthy devices.
  bool first_life = false;         ///< No record is left of an earlier one: what the Node has of others is no more.
  bool operator==(const DeviceResources&) const = default;
};

struct PodLimits {
  int64_t max_pods = 110;
  int64_t pods_per_core = 0;  ///< 0: no such limit.
};

/// cpu, memory, ephemeral-storage, pods, hugepages-<size>; what is unknown is left out.
kube::ResourceList node_capacity(const Machine& machine, const PodLimits& limits);

/// Capacity without reservations, never below zero: what the cgroup of all pods is held to. Hard eviction thresholds
/// are not taken off, so that pods are evicted before the kernel kills in them.
kube::ResourceList node_enforced(const kube::ResourceList& capacity, Reservation reservation);

/// What is reserved of each resource, in whole.
kube::ResourceList amounts_of(const ReservedList& list, const kube::ResourceList& capacity);

/// Capacity without reservations and hard eviction thresholds of memory and disk; memory without huge pages. Never
/// below zero.
kube::ResourceList node_allocatable(const kube::ResourceList& capacity, const Reservation& reservation);

}  // namespace keelson::agent
