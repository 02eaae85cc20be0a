// SPDX-License-Identifier: Apache-2.0
// A node with two pods that serve, a pod that calls and a client outside, each a network namespace, and the servers in
// them. A bench makes one for each way in which packets may be handled, all alike.
//
//   client 10.1.0.3 -- eth0 of node 10.1.0.1 -- caller 10.244.0.10, pod1 10.244.0.1, pod2 10.244.0.2
#pragma once

#include <sched.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/netns.h"
#include "common/result.h"
#include "tests/support/process.h"

namespace keelson::bench {

inline constexpr const char* kPodRange = "10.244.0.0/16";
inline constexpr const char* kNodeAddress = "10.1.0.1";
inline constexpr const char* kPodAddresses[] = {"10.244.0.1", "10.244.0.2"};
inline constexpr uint16_t kServerPort = 8080;
/// The node's link to the client. All its other links are pods'.
inline constexpr const char* kUplink = "eth0";

class ServiceWorld {
 public:
  /// Namespaces "<name>-node" and so on, whose node forwards and knows its pods' MAC addresses. The servers are one
  /// process with a thread for each pod and protocol, pinned to `core`: TCP takes a connection, answers each byte and
  /// closes when `kLastByte` came; UDP answers each datagram.
  static Result<ServiceWorld> make(std::string name, int core);
  ServiceWorld(ServiceWorld&& other) noexcept;
  ServiceWorld& operator=(ServiceWorld&&) = delete;
  ~ServiceWorld();  ///< The servers, the namespaces and all in them are gone.

  const std::string& name() const { return name_; }
  /// Path of the namespace of "node", "caller", "client", "pod1", "pod2".
  std::string netns(const std::string& part) const { return "/run/netns/" + name_ + "-" + part; }

 private:
  explicit ServiceWorld(std::string name) : name_(std::move(name)) {}
  std::string name_;  // empty: moved from
  testing::Background servers_;
};

/// The byte after which a server closes the connection.
inline constexpr char kLastByte = 'q';
/// What the process of servers does: `arguments` are the core and the descriptors of its sockets. Never returns.
[[noreturn]] void serve(int core, const std::vector<int>& sockets);

/// This thread on one core while it lives; then where it was. Where that is refused, a warning.
class CoreGuard {
 public:
  explicit CoreGuard(int core);
  CoreGuard(const CoreGuard&) = delete;
  CoreGuard& operator=(const CoreGuard&) = delete;
  ~CoreGuard();

 private:
  cpu_set_t before_;
};

}  // namespace keelson::bench
