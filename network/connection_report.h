// SPDX-License-Identifier: Apache-2.0
// What people are told of connections: which are chosen, each as JSON, and who holds most of them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json/value.hpp>

#include "ebpf/connection_table.h"
#include "http/target.h"

namespace keelson::network {

/// "TCP", "udp" ...
std::optional<dataplane::Protocol> protocol_of(std::string_view text);

struct ConnectionFilter {
  std::string service;                      ///< "default/web" with all its ports, or "default/web:http". Empty: any.
  std::optional<dataplane::Prefix> client;  ///< An address, or a range.
  std::optional<dataplane::Protocol> protocol;

  /// Of ?service=&client=&protocol=. Kind::invalid names what is wrong.
  static Result<ConnectionFilter> parse(const http::Target& target);
  bool empty() const { return service.empty() && !client && !protocol; }
  bool takes(const ebpf::Connection& connection, std::string_view service_name) const;
};

/// protocol, client, frontend, backend, source, state, masqueraded, tunnelled, service, idleSeconds, secondsLeft.
boost::json::object connection_json(const ebpf::Connection& connection, std::string_view service_name);

/// Counts rows as they are read. Its size grows with clients and services.
class ConnectionTop {
 public:
  void add(const ebpf::Connection& connection, std::string_view service_name);
  /// {"rows", "of", "masqueradePorts", "clients": [{"name", "rows", "masqueradePorts"}], "services": [...]}: the first
  /// `count` of each, by rows, then name.
  boost::json::object take(size_t count, uint64_t room) const;

 private:
  struct Holder {
    uint64_t rows = 0;
    uint64_t ports = 0;  // of this node's, for masqueraded flows
  };
  using Holders = std::map<std::string, Holder, std::less<>>;
  static boost::json::array first(const Holders& holders, size_t count);
  Holder all_;
  Holders clients_, services_;
};

}  // namespace keelson::network
