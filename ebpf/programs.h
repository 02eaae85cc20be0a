// SPDX-License-Identifier: Apache-2.0
// The BPF programs of services: loaded, pinned, put on their hooks, replaced.
//
// Maps, programs and links are pinned below one folder of bpffs, so the kernel goes on when this process ends in
// whatever way. The next load finds them: links get the new programs, each in one step, without a packet in between
// that sees none. Maps of the same form are used as they are, with all connections in them. From maps of another
// version, older or newer, everything is carried over while packets go on: no connection is lost (LAYOUT.md). A load
// that fails leaves what runs.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/fd.h"
#include "common/result.h"
#include "dataplane/address.h"
#include "ebpf/tables.h"

namespace keelson::ebpf {

/// How many rows the maps have. They never become smaller.
struct ProgramSizes {
  uint32_t frontends = 1 << 17;     ///< 16 bytes each, and 96 when it is used.
  uint32_t services = 1 << 16;      ///< 32 bytes each.
  uint32_t slots = 1 << 17;         ///< 8 bytes each.
  uint32_t backends = 1 << 17;      ///< 48 bytes each.
  uint32_t connections4 = 1 << 15;  ///< Rows, two for a connection, 52 bytes each; rounded up.
  uint32_t connections6 = 1 << 12;  ///< 100 bytes each.
  bool operator==(const ProgramSizes&) const = default;
};

struct ProgramOptions {
  std::string pin_folder;   ///< On a bpffs; made if it is absent.
  ProgramSizes sizes;       ///< To begin with; what is pinned may be larger.
  bool classic_tc = false;  ///< Programs on links by filters of clsact, as where the kernel has no tcx (before 6.6).
  uint32_t hash_seed = 0;   ///< What flows are spread by, where nothing is pinned yet; 0: a random one.
};

/// How long a flow is known without a packet: as nf_conntrack with kube-proxy's settings. At most 20 days each.
struct FlowTimes {
  Duration tcp_opening = std::chrono::seconds(60);
  Duration tcp_established = std::chrono::hours(24);
  Duration tcp_closing = std::chrono::seconds(120);  ///< After the first FIN or RST.
  Duration udp = std::chrono::seconds(30);           ///< Nobody has answered yet. Of SCTP, too.
  Duration udp_stream = std::chrono::seconds(120);
};

/// What programs are told of the node; may change while they run.
struct NodeSettings {
  uint64_t netns_cookie = 0;  ///< Of the node's own network namespace (SO_NETNS_COOKIE).
  /// The source of masqueraded flows, by family; unspecified: flows that would have to be are dropped.
  dataplane::Address masquerade4, masquerade6;
  /// Source ports of masqueraded flows: none that the node's own sockets take (net.ipv4.ip_local_port_range).
  uint16_t nat_port_first = 1024;
  uint16_t nat_port_count = 28976;
  /// Other nodes' addresses, of both families, as Backend::node has them: who may send wrapped packets to this one.
  std::vector<dataplane::Address> nodes;
  uint16_t tunnel_port = 6081;  ///< Geneve; the same on all nodes.
  FlowTimes times;
  /// Who sends from within these counts as a pod of this node, and nobody else does, whatever link a packet comes by
  /// (detectLocalMode ClusterCIDR, NodeCIDR). None of a family: there the link says it.
  std::vector<dataplane::Prefix> local_sources;
  bool tcp_sockets = true;  ///< Translate at connect().
  /// All datagram sockets too, for pods whose links no hook can be put on (ipvlan, SR-IOV): such a socket, once
  /// connected, stays with an endpoint that leaves. Without it only what the node sends to its own node ports.
  bool udp_sockets = false;
  bool node_sockets_only = false;  ///< Leave the sockets of pods to the packet hooks,
  /// or those of some: cookies of the network namespaces of pods that redirect connections themselves (service meshes)
  /// or run a kernel of their own.
  std::vector<uint64_t> left_netns;
  /// Beside another proxy. False: flows that are known go on, new ones are left to the stack and its rules.
  bool new_flows = true;
  /// TCP packets that neither begin a flow nor belong to a known one are left to the stack, which may know them.
  bool leave_strangers = false;
  bool drop_events = false;           ///< Tell FlowEvents of what is dropped or rejected,
  bool flow_events = false;           ///< and of flows that begin;
  uint32_t events_per_second = 1000;  ///< no more than so many on each CPU.
};

enum class LinkKind : uint32_t { uplink = KL_LINK_UPLINK, pod = KL_LINK_POD };

class Succession;

/// Larger maps, and programs that use them, made beside those that run.
class Grower {
 public:
  Grower(Grower&&) noexcept;
  Grower& operator=(Grower&&) noexcept;
  ~Grower();
  /// What takes long (the verifier): on any thread, while Programs go on being used. Errors as Programs::load();
  /// Kind::exhausted: the kernel has no memory for maps of these sizes.
  Result<> prepare();

 private:
  friend class Programs;
  Grower(std::string pins, const ProgramSizes& sizes);
  std::string pins_;
  ProgramSizes sizes_;
  std::unique_ptr<Succession> next_;
};

/// One thread at a time.
class Programs {
 public:
  /// Loads, takes over what is pinned, replaces the programs behind pinned links. Kind::unsupported or invalid with the
  /// last lines of the verifier: this kernel refuses a program. Kind::conflict: another process has this folder.
  static Result<Programs> load(const ProgramOptions& options);
  Programs(Programs&&) noexcept;
  Programs& operator=(Programs&&) noexcept;
  ~Programs();  ///< Everything pinned stays.

  const TableMaps& table_maps() const;
  /// True if the maps were there already: Tables::adopt() is due.
  bool adopted() const;

  ProgramSizes sizes() const;
  /// Maps of at least these sizes; those that have them are used as they are.
  Grower grower(const ProgramSizes& sizes) const;
  /// Puts what is prepared in the place of what runs, while packets go on; takes milliseconds, more with many
  /// connections. Whatever comes of it: table_maps() may be others now, which Tables::grow() is due for before anything
  /// is written, and so are program() and map(). On error all goes on as before, or the new ones lead and the next
  /// growth or load ends what was begun. Kind::conflict: not prepared, or they have grown since grower().
  Result<> grow(Grower prepared);
  /// Another one after each growth.
  uint32_t generation() const;

  Result<> configure(const NodeSettings& settings);
  /// Sockets of processes in this cgroup (v2) and below.
  Result<> attach_sockets(const std::string& cgroup);
  /// tc on both directions of a link, and on an uplink XDP, if `xdp`. Again for the same link: nothing changes.
  Result<> attach_link(int ifindex, LinkKind kind, bool xdp);
  /// Of a link that is gone or no longer ours. Absent is success.
  Result<> detach_link(int ifindex);
  /// Links with programs of ours, of this process or one before.
  std::vector<int> attached_links() const;

  /// Sums of all CPUs, by kl_counter.
  Result<std::vector<uint64_t>> counters() const;
  /// Descriptors for tests and benches: a program or map by its name in the object; -1: none.
  int program(const std::string& name) const;
  int map(const std::string& name) const;
  /// All that are pinned, with their names.
  std::vector<std::pair<std::string, int>> maps() const;

  /// Takes every pin away, of whatever version, and with the last descriptor every program and map. Absent is success.
  static Result<> remove(const std::string& pin_folder);

 private:
  struct State;
  explicit Programs(std::unique_ptr<State> state);
  uint32_t hash_seed() const;
  template <class Key>
  Result<> write_set(const char* map, const std::vector<Key>& keys);
  std::unique_ptr<State> state_;
};

}  // namespace keelson::ebpf
