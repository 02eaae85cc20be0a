// SPDX-License-Identifier: Apache-2.0
// For tests of this room: a node with two pods, another node, and a client outside, each a network namespace, and the
// sockets that talk across them. Nothing leaves the namespaces.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/fd.h"
#include "common/netns.h"
#include "dataplane/model.h"

namespace keelson::ebpf::testing {

/// Why this machine cannot run the tests; empty: it can.
std::string why_not();

/// Runs a shell script; fails the test if it fails.
void shell(const std::string& script);

/// client 10.1.0.3 -- lan -- node 10.1.0.1 -- pod1 10.2.0.1, pod2 10.2.0.2; other 10.1.0.2 on the lan, 10.3.0.1 in it.
/// The same in IPv6: fd01::3, fd01::1, fd02::1, fd02::2, fd01::2, fd03::1. The client's routes to 10.96.0.0/16 and
/// fd96::/64 go to the node. The node's links: eth0, p1, p2. It knows its pods' MAC addresses, as from keelson-cni.
class SmallNet {
 public:
  SmallNet();
  ~SmallNet();  ///< The namespaces and all in them are gone.

  std::string path(const std::string& name) const { return "/run/netns/" + prefix_ + name; }
  /// This thread in that namespace while the guard lives.
  NetnsGuard enter(const std::string& name) const;
  /// "ip ..." and other programs in it.
  void in(const std::string& name, const std::string& script) const;
  int ifindex(const std::string& name, const std::string& link) const;
  /// What a wire is and veths are not: checksums are computed before packets leave, and what XDP sends back to the
  /// node's uplink arrives (a veth takes XDP_TX from its peer only if it has a program itself).
  void make_uplink_a_wire() const;

 private:
  std::string prefix_;
};

/// This process in a cgroup while the guard lives: sockets belong to the cgroup that they are made in.
class CgroupGuard {
 public:
  explicit CgroupGuard(const std::string& cgroup);
  ~CgroupGuard();
  CgroupGuard(const CgroupGuard&) = delete;
  CgroupGuard& operator=(const CgroupGuard&) = delete;

 private:
  std::string home_;
};

/// As the kernel takes and gives it.
struct Sockaddr {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;

  /// The family is that of the text. An unreadable text gives the unspecified address.
  static Sockaddr of(const std::string& address, uint16_t port);
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  std::string host() const;
  uint16_t port() const;
  /// "10.1.0.3:4711", "[fd01::3]:4711"
  std::string to_string() const;
};

inline bool is_v6(const std::string& address) {
  return address.find(':') != address.npos;
}

/// The text of a Sockaddr without its port.
std::string host_of(const std::string& endpoint);

/// A socket in a namespace.
class Socket {
 public:
  /// How long calls wait at most, in ms: for what comes, also on a busy machine; and to see that nothing comes.
  static constexpr int kPatience = 5000, kSilence = 500;

  static Socket tcp(const SmallNet& net, const std::string& ns, bool v6 = false);
  static Socket udp(const SmallNet& net, const std::string& ns, bool v6 = false);

  /// 0 or the errno; ETIMEDOUT after `patience` ms.
  int connect(const std::string& address, uint16_t port, int patience = kPatience);
  void bind(const std::string& address, uint16_t port);
  void listen();
  /// Nothing after kPatience. `from`: the peer's address, as the socket sees it.
  std::optional<Socket> accept(std::string* from = nullptr);
  /// All of it: 0, or the errno; EAGAIN when there was room for a part alone.
  int send(const std::string& text);
  /// How many bytes of it there was room for; 0 also on an error, which errno tells.
  size_t send_some(const std::string& bytes);
  int send_to(const std::string& text, const std::string& address, uint16_t port);
  /// Nothing after `patience` ms or on an error, which errno tells.
  std::optional<std::string> receive(std::string* from = nullptr, int patience = kPatience);
  /// Nothing comes within kSilence.
  bool is_silent() { return !receive(nullptr, kSilence); }
  std::string peer() const;
  int fd() const { return fd_.get(); }

 private:
  explicit Socket(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

/// A service on `address`:80 with these backends, all serving; those in 10.2/16 and fd02:: are local.
dataplane::Service service(dataplane::Protocol protocol, const std::string& address,
                           const std::vector<std::string>& backends);

}  // namespace keelson::ebpf::testing
