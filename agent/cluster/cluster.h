// SPDX-License-Identifier: Apache-2.0
// The agent's side of a cluster: pods and what they need from the API, statuses and events to it.
//
//   API --watches--> PodLedger --DesiredState--> Agent --status--> StatusManager --patch--> API
//   folder ---------^                             | events -------> EventSender
//                                                 | prepare ------> PodInputs: objects synced, tokens
//
// While the API is away all goes on as last known. A new agent that finds it away leaves alone what runs, and starts
// static pods.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "agent/agent.h"
#include "agent/cluster/api_call.h"
#include "agent/cluster/sysctls.h"
#include "agent/config/pod_inputs.h"
#include "agent/node/eviction_signals.h"
#include "agent/pod_runtime.h"
#include "common/stats.h"
#include "kube/client/client.h"
#include "kube/quantity.h"

namespace keelson::agent {

struct ClusterOptions {
  std::string node_name;
  std::string manifest_dir;               ///< Of static pods; empty: there are none.
  kube::ResourceList allocatable;         ///< What pods may take of the node: "cpu", "memory", "pods" ...
  kube::StringMap labels = {};            ///< The node's, given by its operator: until the API has a Node.
  SysctlAllowlist sysctls = {};           ///< That pods may set.
  bool static_cpus = false;               ///< cpuManagerPolicy: static
  bool limits_swap = false;               ///< Containers may have some swap.
  RateLimit requests = kDefaultRequests;  ///< About pods; not of watches.
  RateLimit events = kDefaultRequests;
  uint64_t seed = 0;  ///< Of the waits; 0: a random one.
};

/// The Node has changed, or is there.
using NodeChanged = std::function<void(const kube::Node& node)>;

/// Newer tokens of a pod that has some.
using TokensRenewed = std::function<void(const std::string& uid, TokenMap tokens)>;

/// Belongs to the agent's loop. Made before the configs that it feeds; the agent and the runtime are given to run().
/// `client` outlives it.
class Cluster : public PodInputs {
 public:
  Cluster(kube::Client& client, ClusterOptions options);
  ~Cluster() override;

  /// Runs until cancelled. The agent has no source of its own; its listeners are set here.
  Task<> run(Agent& agent, PodRuntime& runtime, TokensRenewed renewed, NodeChanged node_changed);
  /// Ends all requests and watches; run() must have ended.
  Task<> close();

  /// What the node is short of: pods that come are refused accordingly.
  void pressed_by(const Pressures& pressures);
  /// The machine is going down, or is not after all.
  void shutting_down(bool now);

  /// Resources of which allotters say who has how many.
  void allotted_are(std::set<std::string> resources);
  /// An allotter has refused a pod, for this reason: it is counted with those that are refused here.
  void pod_refused(const std::string& reason);

  /// As cluster_stats.h says.
  void collect(Stats& stats) const;

  Task<TokenMap> provide(kube::Pod pod) override;
  Result<> check_environment(const kube::Pod& pod, const kube::Container& container) const override;
  Task<ServiceAccount> service_account(kube::Pod pod) override;
  Task<std::string> service_account_token(kube::Pod pod, std::string audience, std::string account_uid) override;
  void forget(const std::string& uid) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace keelson::agent
