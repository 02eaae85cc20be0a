// SPDX-License-Identifier: Apache-2.0
// What the node, its pods and their containers use: the agent knows what there is, the kernel and the runtime what it
// takes.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "agent/config/pod_storage.h"
#include "common/cgroup/unit_name.h"
#include "common/loop.h"
#include "cri/client/client.h"
#include "metrics/node_reader.h"

namespace keelson::agent {

struct UsageOptions {
  std::string node_name;
  std::string root = "/var/lib/keelson";  ///< the agent's: its disk is the node's, and volumes are below
  cgroup::Driver driver = cgroup::Driver::cgroupfs;
  std::string cgroup_root = "/";
  /// Where the volumes of PodStorage are, by the pod's uid; called on the agent's loop.
  std::function<MountedVolumes(const std::string& uid)> mounted = [](const std::string&) { return MountedVolumes(); };
  std::string cri_socket = {};  ///< Whose server is told of as "runtime"; empty: it is not.
};

struct KnownPod {
  kube::Pod pod;
  ObservedPod observed;
  MountedVolumes mounted;
};

/// Belongs to `loop`; the agent is asked on its own, which may be the same. The kernel is asked on a thread of its own,
/// one reading at a time; the runtime for what containers have written, with one call, at most each 30 s.
class NodeUsage {
 public:
  NodeUsage(Loop& loop, Loop& agents_loop, Agent& agent, cri::RuntimeClient& runtime, UsageOptions options);
  ~NodeUsage();

  /// All pods that are here, with what the runtime has of them.
  Task<std::vector<KnownPod>> pods();
  /// The pods that have volumes of claims, and of these volumes what is known; nothing else. Never waits.
  std::vector<metrics::PodUse> claims(const std::vector<KnownPod>& pods);
  /// Kind::unsupported: there are no cgroups that can be read.
  Task<metrics::NodeUse> read(metrics::Depth depth);
  /// The node, its groups of pods, and the images' disk, but no pod.
  Task<metrics::NodeUse> read_node();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace keelson::agent
