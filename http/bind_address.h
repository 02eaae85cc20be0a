// SPDX-License-Identifier: Apache-2.0
// "0.0.0.0:10256", "[::1]:10249": where a server listens.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.h"

namespace keelson::http {

struct BindAddress {
  std::string host;  ///< An IP address, without brackets.
  uint16_t port = 0;

  /// As kube-proxy reads its addresses: "IP:port", or an IP alone, which gets `default_port` (an IPv6 one may have
  /// brackets). Kind::invalid on anything else, and on port 0.
  static Result<BindAddress> parse(std::string_view text, uint16_t default_port);
  std::string to_string() const;
  bool operator==(const BindAddress&) const = default;
};

}  // namespace keelson::http
