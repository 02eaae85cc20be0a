// SPDX-License-Identifier: Apache-2.0
// The link between a pod and the node, by rtnetlink(7).
//
//   pod netns                         node
//   eth0 <address>/32 --- veth pair --- kl<hash> <gateway>/32
//   default via <gateway> onlink        <address>/32 dev kl<hash>
//
// Both ends know each other's MAC by permanent neighbour entries, so no first packet waits for ARP or neighbour
// discovery.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "common/result.h"

namespace keelson::cni {

struct PodAddress {
  std::string address;
  std::string gateway;
  bool six = false;
};

struct PodLink {
  std::string host_name;  ///< of the node's end
  std::string pod_name;   ///< in the pod, "eth0"
  std::string netns;      ///< path of the pod's namespace
  int mtu = 0;            ///< 0: as the link of the node's default route, or 1500
  std::vector<PodAddress> addresses;
};

/// What a made link turned out to be.
struct MadeLink {
  std::string host_mac;
  std::string pod_mac;
  int mtu = 0;
};

/// The node's end's name for an attachment: stable, unique, at most 15 bytes.
std::string host_link_name(const std::string& container_id, const std::string& interface);

/// Makes the pair with its addresses and routes, and lets the node forward. Kind::exists if either name is taken. After
/// an error nothing of it is left. Single-threaded callers only: it enters the pod's namespace for a moment.
Result<MadeLink> make_link(const PodLink& link);

/// Removes the pair by its node's end; absent is success. Waits until the kernel has let go (15 to 35 ms: RCU).
Result<> remove_link(const std::string& host_name);

/// Takes the routes to `addresses` away and leaves the rest of remove_link() to a child of its own, so that the caller
/// need not wait for the kernel. Were the child killed, the pair would go with the pod's namespace, or by GC.
Result<> remove_link_behind(const std::string& host_name, const std::vector<std::string>& addresses);

/// Waits until a link that is being removed is gone. Kind::timeout if it stays.
Result<> wait_link_gone(const std::string& host_name, std::chrono::milliseconds limit);

/// Whether the pair, its addresses and the node's routes are as make_link() made them. The error names what is missing.
Result<> check_link(const PodLink& link);

/// Names of all links of this namespace that are pod links of ours.
Result<std::vector<std::string>> list_links();

}  // namespace keelson::cni
