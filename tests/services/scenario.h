// SPDX-License-Identifier: Apache-2.0
// A scenario: objects as a cluster holds them, and steps, each with what must come of it as a text. Scenarios are data
// (scenarios/*.yaml, README.md says how they are written); this is their form in memory.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

namespace keelson::services {

namespace json = boost::json;

/// Whose answer. Ours twice: where sockets of pods are translated, and where only their packets are seen.
enum class Side { ours, packets, iptables, nftables };
inline constexpr Side kSides[] = {Side::ours, Side::packets, Side::iptables, Side::nftables};
std::string_view to_string(Side side);

/// "pod1 udp 10.96.1.1:80 x20 size 4000": who sends what where.
struct Send {
  std::string who;       ///< client, clients (40 addresses), pod1, pod2, node, other, otherpod.
  std::string protocol;  ///< tcp; udp: a socket without a peer; connected: UDP with one; http.
  std::string address;
  uint16_t port = 0;
  std::string path;          ///< Of http.
  int times = 1;             ///< xN: so many sockets one after the other, all answers together.
  bool same_wanted = false;  ///< "same": which server it is does not matter, only whether it is the same each time.
  int size = 0;              ///< "size N": bytes of a datagram, and of its answer.
  bool whole = false;        ///< "df": must not be cut on the way.
  std::string name;          ///< "as NAME": kept open.
};

struct Step {
  enum class Kind { send, use, stray, apply, remove, restart, kill, stop, start, wait };
  Kind kind = Kind::send;
  std::string text;                   ///< As written.
  Send send;                          ///< Of send.
  std::string name;                   ///< Of use and stray: a kept flow.
  std::vector<json::object> objects;  ///< Of apply and remove.
  std::chrono::milliseconds wait{};
  std::map<Side, std::string> wanted;  ///< Of all sides, or empty: nothing to see.
  std::string why;                     ///< Of a difference between them. "not yet: ...": ours is to become as theirs.

  bool differs() const;
  /// That none answers is what somebody wants: then nobody waits long for it.
  bool may_be_silent() const;
};

struct Scenario {
  std::string file;
  std::string group;    ///< How the proxy is configured: a name in groups.yaml.
  std::string feature;  ///< What of a proxy it shows.
  std::string name;
  int family = 4;
  bool alone = false;  ///< Stops the proxy, so nothing else may run beside it.
  std::vector<json::object> objects;
  std::vector<Step> steps;

  /// "external-ips/not-the-nodes-own/v6"; unique.
  std::string id() const;
};

/// A configuration of the proxies.
struct Group {
  std::string name;
  json::object proxy;              ///< Keys of KubeProxyConfiguration.
  std::vector<std::string> flags;  ///< Ours: flags of `keelson node` that mean the same.
};

struct Suite {
  std::vector<Group> groups;
  std::vector<Scenario> scenarios;  ///< In order of file, place, family.
  const Group& group(const std::string& name) const;
};

/// All scenarios below `folder`. Throws std::runtime_error that names file and scenario: it is the tests' own data.
Suite load_suite(const std::string& folder);

}  // namespace keelson::services
