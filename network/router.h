// SPDX-License-Identifier: Apache-2.0
// From objects to the kernel: what a source tells is translated, and what that changes is written into the tables of
// the BPF programs, within the same turn of the loop.
//
// The node itself is an input, too: its links get programs, its addresses answer on node ports, and both are followed
// by netlink. On start nothing is taken away before the source has told all it has: the tables of a daemon before go on
// until then. What could not be written (a table is full, the kernel refused) is logged, counted and tried again.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/loop.h"
#include "dataplane/translate/translator.h"
#include "ebpf/growth.h"
#include "ebpf/node_links.h"
#include "ebpf/programs.h"
#include "network/node_addresses.h"
#include "network/node_table.h"
#include "network/object_source.h"

namespace keelson::network {

/// Who routes the services of this node: we, or another proxy, whose rules the kernel's stack follows. Going from one
/// to the other without a lost connection takes both for a while, in a mode between (deploy/kubernetes/README.md).
enum class ServiceMode {
  route,      ///< We, all flows.
  shadow,     ///< The other: tables are filled, and nothing is attached.
  take_over,  ///< We, but for TCP connections that began before us: the stack's conntrack has them.
  hand_back   ///< The other, but for flows that we know already; nothing new is attached.
};
std::string_view to_string(ServiceMode mode);  ///< "route", "shadow", "take-over", "hand-back".

struct RouterOptions {
  ServiceMode mode = ServiceMode::route;
  std::string node_name;
  std::string bpf_dir;        ///< Where programs and tables are pinned.
  std::string socket_cgroup;  ///< Sockets of processes in it are translated; empty: the root of cgroup v2.
  ebpf::LinkRules links;
  NodePortRules node_ports;
  std::string zone;  ///< For topology hints; empty: as the Node's label says.
  bool masquerade_all = false;
  dataplane::Forwarding forwarding = dataplane::Forwarding::snat;
  dataplane::Algorithm algorithm = dataplane::Algorithm::random;
  /// Whose sources count as pods of this node (ebpf::NodeSettings::local_sources).
  std::vector<dataplane::Prefix> local_sources;
  bool node_cidrs = false;  ///< Those of the Node's podCIDRs, too.
  ebpf::FlowTimes flow_times;
  ebpf::ProgramSizes sizes;  ///< To begin with.
  ebpf::MapBudget map_budget;
};

/// What translation is told of this node: by the configuration, by Nodes, and by its own addresses.
dataplane::TranslateOptions translate_options(const RouterOptions& options, const NodeTable& nodes,
                                              const std::vector<std::string>& own_addresses);

/// What one change came to.
struct SyncReport {
  bool full = false;     ///< All services, not those that changed: at start, after an error, with new node addresses.
  size_t changed = 0;    ///< Routed services written or removed.
  size_t failed = 0;     ///< Of them: could not be.
  Duration duration{0};  ///< From the objects to the last row written.
  WallTime at{};
};

/// What the programs tell (ebpf/flow_events.h).
struct EventChoice {
  bool drops = false;
  bool flows = false;  ///< That begin.
};

/// Belongs to one loop.
class Router {
 public:
  /// Loads the programs, or takes over those of a daemon before, in this thread's network namespace. Kind::unsupported:
  /// this kernel refuses a program, and what runs is left as it is. Kind::conflict: ServiceMode::shadow, and programs
  /// of a daemon before route.
  static Result<std::unique_ptr<Router>> open(Loop& loop, RouterOptions options);
  virtual ~Router() = default;  ///< What is programmed goes on.

  /// Carries a batch out. Never fails: see above.
  virtual void take(ObjectBatch batch) = 0;
  /// Which pods of this node are about to end (Translator::set_leaving); in the tables when it returns, unless they are
  /// not synced() yet.
  virtual void set_leaving(std::vector<dataplane::LeavingPod> pods) = 0;
  /// Follows the node's links and addresses, and makes maps larger in time, until cancelled.
  virtual Task<> run() = 0;
  /// After each batch that was carried out, and each change of the node; also when it changed nothing.
  virtual void on_sync(std::function<void(const SyncReport&)> listener) = 0;

  virtual const std::optional<SyncReport>& last_sync() const = 0;
  /// What the programs were told last.
  virtual ebpf::NodeSettings settings() const = 0;
  /// Nothing is told before.
  virtual Result<> tell_events(EventChoice choice) = 0;

  virtual ServiceMode mode() const = 0;
  virtual bool synced() const = 0;  ///< All that the source holds is in the tables, but for what failed.
  virtual const dataplane::Translator& translator() const = 0;
  virtual const ebpf::Tables& tables() const = 0;
  virtual const ebpf::Programs& programs() const = 0;
  virtual const ebpf::MapGrowth& map_growth() const = 0;
  virtual const NodeTable& nodes() const = 0;
};

}  // namespace keelson::network
