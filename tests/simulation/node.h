// SPDX-License-Identifier: Apache-2.0
// The real node's side of a cluster (clients, agent, cluster parts, registrar, Lease) over a runtime in memory.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "agent/agent.h"
#include "agent/cluster/cluster.h"
#include "agent/node/lease_renewer.h"
#include "agent/node/node_registrar.h"
#include "agent/small_world.h"
#include "kube/client/client.h"
#include "tests/simulation/control_plane.h"

namespace keelson::simulation {

inline constexpr const char* kNodeName = "n1";

/// The small world, with inputs from the cluster and a memory of what was asked of it.
class Runtime : public agent::SmallWorld {
 public:
  Runtime(Loop& loop, Auditor& auditor) : SmallWorld(loop), auditor_(auditor) {}

  /// Null while there is no agent.
  agent::PodInputs* inputs = nullptr;
  /// An agent begins: what the one before had learned counts no more.
  void new_agent() { over_.clear(); }
  /// Of every container there ever was: its pod's uid.
  const std::string& owner(const std::string& container_id) const;
  bool runs(const std::string& uid) const;

  Task<> prepare(kube::Pod pod) override;
  Task<> clean_up(kube::Pod pod) override;
  Task<std::string> create_sandbox(kube::Pod pod, uint32_t attempt) override;
  Task<std::string> create_container(agent::ContainerOrder order) override;

 private:
  Auditor& auditor_;
  std::map<std::string, std::string> owners_;
  std::set<std::string> over_;  // uids that this agent has ended for good
};

class Node {
 public:
  /// `manifests`: a folder of static pods.
  Node(Loop& loop, ControlPlane& plane, Runtime& runtime, uint64_t seed, std::string manifests);
  ~Node();

  /// As a kill and a start of the daemon.
  void restart();
  agent::Agent& agent();

 private:
  struct Life;
  void start();
  void end();

  Loop& loop_;
  ControlPlane& plane_;
  Runtime& runtime_;
  uint64_t seed_;
  const std::string manifests_;
  std::unique_ptr<agent::NodeSources> sources_;
  std::unique_ptr<Life> life_;
};

}  // namespace keelson::simulation
