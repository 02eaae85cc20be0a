// SPDX-License-Identifier: Apache-2.0
// The Node of this node at the API server: registered once, its status kept true.
//
// On start the Node is created, or, if it is there already, given the labels and the annotation it should have; by
// patches, so that what others change is never lost. Then the status is worked out each `update_frequency`, and sent
// when there is news, or `report_frequency` has passed; until the node is Ready for the first time it is looked at each
// 100 ms. A Node that was Ready stays so while we start: nothing is said of it until the runtime has answered, or has
// not for 30 s.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "agent/node/node_api.h"
#include "agent/node/node_board.h"
#include "agent/node/node_stats.h"
#include "agent/node/node_status.h"
#include "common/loop.h"

namespace keelson::agent {

/// Something to tell of the node, as an Event of it.
struct NodeEvent {
  bool warning = false;
  std::string reason;  ///< "NodeReady", "Rebooted" ...
  std::string message;
};

struct RegistrarOptions {
  NodeSettings settings;
  bool register_node = true;  ///< False: somebody else creates the Node.
  Duration update_frequency = std::chrono::seconds(10);
  Duration report_frequency = std::chrono::minutes(5);  ///< Each time another one, from half of it to one and a half.
  Duration pressure_transition = std::chrono::minutes(5);
  /// What the agent says of the node; outlives the registrar, may be null.
  const NodeBoard* board = nullptr;
  StartupStats* startup = nullptr;             ///< Told when it gets how far; the same.
  Duration answer = std::chrono::seconds(8);   ///< How long one request may take.
  uint64_t seed = 0;                           ///< Of the waits.
  std::function<void(const NodeEvent&)> tell;  ///< On the loop's thread; may be empty.
};

/// What a Node tells of: this machine and its runtime, or a test's. Calls end within some seconds and do not hold up
/// the loop; an error leaves what was last seen.
class NodeSources {
 public:
  virtual ~NodeSources() = default;
  virtual Task<Machine> machine() = 0;
  /// The node's own, as node_addresses.h has them. Kind::invalid, not_found: why there are none.
  virtual Task<std::vector<std::string>> addresses() = 0;
  virtual Task<cri::RuntimeStatus> runtime_status() = 0;
  virtual Task<cri::RuntimeVersion> runtime_version() = 0;
  virtual Task<std::vector<cri::Image>> images() = 0;
};

/// Belongs to one loop. `api` and `sources` outlive it.
class NodeRegistrar {
 public:
  NodeRegistrar(Loop& loop, NodeApi& api, NodeSources& sources, RegistrarOptions options);

  /// Until it is cancelled.
  Task<> run();
  /// There is news on the board: it is told now.
  void look_now();
  /// By which others reach this node, as last told to the API server; empty: it was told nothing yet.
  std::vector<kube::NodeAddress> addresses() const;

 private:
  Task<> register_node();
  Task<> try_register();
  Task<> reconcile();
  /// Observes, until then; or until the node is ready for the first time.
  Task<> look_until(SteadyTime next);
  Task<> report();
  Task<> try_report();
  Task<> send(const kube::FullNode& existing, const kube::NodeStatus& status);

  Task<> observe();
  Task<> look_for_addresses();
  Task<> ask_runtime();
  Task<> ask_images();
  Task<> wait_news();
  void read_board();
  bool looks_ready() const;
  bool too_early_for(const kube::FullNode& existing) const;

  Task<kube::FullNode> get();
  Task<std::string> ask(kube::Request request);
  void tell(bool warning, std::string reason, std::string message) const;
  void tell_schedulable(bool unschedulable);
  void tell_changes(const kube::NodeStatus& before, const kube::NodeStatus& after) const;
  void mark(void (StartupStats::*moment)(WallTime)) const;
  uint32_t random();

  Loop& loop_;
  NodeApi& api_;
  NodeSources& sources_;
  const RegistrarOptions options_;
  const std::string path_;
  const SteadyTime started_;
  NodeView view_;
  HeldPressures held_;
  std::optional<SteadyTime> runtime_answered_;
  std::optional<SteadyTime> images_seen_;
  std::optional<SteadyTime> addresses_due_;
  std::string no_address_;              ///< Why, as told.
  std::optional<kube::FullNode> sent_;  ///< As the last patch left it.
  std::optional<SteadyTime> reported_;
  Duration report_after_;
  uint64_t random_;
  asio::steady_timer news_;  ///< Cancelled by look_now().
  bool has_news_ = false;
  bool was_ready_ = false;
  bool failing_ = false;
  bool unschedulable_ = false;  ///< As last told.
  bool begun_anew_ = false;     ///< What the Node had of an earlier life has been taken away.
};

}  // namespace keelson::agent
