// SPDX-License-Identifier: Apache-2.0
// The Node that says what this node is: pure functions of how it is configured and what was seen of it.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/node/eviction_signals.h"
#include "agent/node/machine.h"
#include "agent/node/resources.h"
#include "common/clock.h"
#include "cri/client/types.h"
#include "kube/full_node.h"

namespace keelson::agent {

/// How a node is configured. The names are KubeletConfiguration's and the kubelet's flags'.
struct NodeSettings {
  std::string name;
  kube::StringMap labels;           ///< Given at registration; of the same name as ours: these win.
  std::vector<kube::Taint> taints;  ///< Given at registration.
  std::string provider_id;
  bool external_cloud = false;  ///< --cloud-provider=external: tainted until a cloud controller has initialised it.
  std::vector<std::string> node_ip;  ///< --node-ip, as node_addresses.h takes it.
  int32_t port = 0;                  ///< Where the kubelet's API is served; 0: nowhere.
  PodLimits pods;
  Reservation reservation;
  int64_t max_images = 50;      ///< -1: all
  std::string kubelet_version;  ///< "v1.34.4+..."
};

/// What the runtime has said, as far as it has.
struct RuntimeView {
  bool asked = false;  ///< It has answered at least once.
  bool down = false;   ///< It has not answered for too long.
  cri::RuntimeVersion version;
  cri::RuntimeStatus status;
  std::vector<cri::Image> images;
};

/// The agent's own look at its runtime (agent/pleg.h), as far as it counts here.
struct PlegView {
  bool seen = true;    ///< False: it should have been made by now, and never was.
  Duration silent{0};  ///< Since the last one that had its answer.
};
/// An agent that has not looked for longer is taken to be stuck: the kubelet's bound.
inline constexpr std::chrono::minutes kPlegThreshold{3};

struct NodeView {
  Machine machine;
  std::vector<std::string> ips;  ///< InternalIPs, the primary one first; empty: none was ever found.
  Pressures pressures;
  bool shutting_down = false;                           ///< The machine is: the node is not Ready.
  std::optional<std::set<std::string>> volumes_in_use;  ///< None: as the API server has them.
  DeviceResources devices;
  PlegView pleg;
  RuntimeView runtime;
};

/// The status now. `previous` is what the API server has: conditions of others, resources of others (whose
/// capacity a cluster operator has set), volumes, addresses while none is found and, where a condition's status is the
/// same, its transition time are kept from it. Our conditions are MemoryPressure, DiskPressure, PIDPressure and Ready,
/// which is always the last, with the kubelet's reasons and texts.
kube::NodeStatus make_node_status(const NodeSettings& settings, const NodeView& view, const kube::NodeStatus& previous,
                                  WallTime now);

/// A Node as it registers, its status included.
kube::FullNode make_node(const NodeSettings& settings, const NodeView& view, WallTime now);

/// A node that is new under an old name: of extended resources ("vendor.com/x") it has none, until somebody tells of
/// them again.
void take_away_extended(kube::NodeStatus& status);

/// Whether there is news: anything but the times of heartbeats.
bool differs(const kube::NodeStatus& a, const kube::NodeStatus& b);

/// The condition of this type; null if there is none.
const kube::NodeCondition* find_condition(const kube::NodeStatus& status, std::string_view type);

/// Labels and annotations that an existing Node must have and has not, or has otherwise: what a restart of the agent
/// corrects. Labels of the operator's are given at registration only, as by the kubelet.
struct MetadataChange {
  kube::StringMap labels;
  kube::StringMap annotations;
};
MetadataChange metadata_change(const kube::FullNode& wanted, const kube::FullNode& existing);

}  // namespace keelson::agent
