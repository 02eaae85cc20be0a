// SPDX-License-Identifier: Apache-2.0
// Links, addresses, routes, neighbours and tc filters of one network namespace: a narrow, typed face of rtnetlink(7).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"

namespace keelson {

/// An interface number; never 0 for a link that exists.
struct Ifindex {
  int value = 0;
};

struct Link {
  Ifindex index;
  std::string name;
  std::string mac;  ///< "02:42:..."
  int mtu = 0;
  bool up = false;
  std::string kind;  ///< "veth", "vlan", "bridge" ...; empty: a device of its own
  Ifindex master;    ///< The bridge (or bond ...) that it is a port of; 0: of none.
};

/// A socket into the network namespace in which it was opened; it stays there when the thread moves on. Not
/// thread-safe. Errors carry the kernel's errno: exists (EEXIST), not_found (ENODEV), permission (EPERM).
class Netlink {
 public:
  static Result<Netlink> open();
  Netlink(Netlink&&) noexcept;
  Netlink& operator=(Netlink&&) noexcept;
  ~Netlink();

  struct Veth {
    std::string name;
    std::string peer_name;
    int peer_netns = -1;  ///< descriptor of the namespace the peer is born in
    std::string mac;      ///< empty: the kernel's choice
    std::string peer_mac;
    int mtu = 1500;
  };
  /// Both ends in one message, the first one up.
  Result<> make_veth(const Veth& veth);
  Result<Link> find_link(const std::string& name);
  Result<Link> find_link(Ifindex index);
  Result<std::vector<Link>> list_links();
  /// Whether a filter of classic tc is on the link's qdisc clsact; false without that.
  Result<bool> has_filters(Ifindex link);
  Result<> set_up(Ifindex link);
  Result<> remove_link(Ifindex link);

  /// `address` without prefix; IPv6 without duplicate address detection.
  Result<> add_address(Ifindex link, const std::string& address, int prefix);
  /// The addresses of a link, "10.1.0.2/32".
  Result<std::vector<std::string>> list_addresses(Ifindex link);

  struct Route {
    std::string destination;  ///< without prefix; empty with prefix 0: the default route
    int prefix = 0;
    bool six = false;
    std::string gateway;  ///< empty: on the link
    Ifindex link;
  };
  /// With a gateway the route is "onlink": it need not be reachable by another one.
  Result<> add_route(const Route& route);
  /// The route to exactly this destination by this link; not_found if there is none.
  Result<> remove_route(const Route& route);
  /// Whether a route to exactly this destination leaves by this link.
  Result<bool> has_route(const Route& route);
  /// The link of the default IPv4 route, if there is one.
  Result<std::optional<Ifindex>> default_link();

  /// A permanent entry.
  Result<> add_neighbour(Ifindex link, const std::string& address, const std::string& mac);

 private:
  struct Socket;
  explicit Netlink(std::unique_ptr<Socket> socket);
  std::unique_ptr<Socket> socket_;
};

}  // namespace keelson
