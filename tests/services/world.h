// SPDX-License-Identifier: Apache-2.0
// Where scenarios happen: the small network of ebpf/testing.h with what a node has beside it, servers on every pod, and
// sockets for whoever sends.
//
//   client 10.1.0.3, 10.1.0.101..140 -- lan -- node 10.1.0.1, 10.1.0.11 -- pod1 10.2.0.1, pod2 10.2.0.2 (MTU 1400)
//                                          `-- other 10.1.0.2: otherpod 10.3.0.1
//
// The same in IPv6 (objects.h). Servers listen on ports 8080 and 8081 of pods and nodes.
#pragma once

#include <string>
#include <vector>

#include "ebpf/testing.h"
#include "tests/services/servers.h"
#include "tests/services/socket_maker.h"

namespace keelson::services {

class World {
 public:
  /// Made while the process has one thread.
  World();

  /// Path of a network namespace: "node", "client" ...
  std::string netns(const std::string& name) const { return net_.path(name); }
  /// The cgroup of node and pods, as far as sockets of theirs are seen.
  const std::string& cgroup() const { return maker_.cgroup(); }
  /// Whether sockets of pods are made in that cgroup from now on, as those of the node always are. If not, only their
  /// packets are seen, as of a pod with a kernel of its own.
  void set_pods_seen(bool seen) { pods_seen_ = seen; }
  /// What a wire is and veths are not, as XDP wants it.
  void make_uplink_a_wire() { net_.make_uplink_a_wire(); }

  /// A socket of client, clients, pod1, pod2, node, other or otherpod, bound to the sender's address where that has
  /// several: number `turn` of them.
  Fd socket(const std::string& who, int family, int type, int turn = 0);

  /// Who has this address: "pod1", "node", "client" ...; the address itself if nobody.
  static std::string name_of(const std::string& address);

 private:
  ebpf::testing::SmallNet net_;
  SocketMaker maker_;
  Servers servers_;
  bool pods_seen_ = true;
};

}  // namespace keelson::services
