// SPDX-License-Identifier: Apache-2.0
// Socket addresses and their texts.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

namespace keelson::services {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;

  /// The family is that of the text. An unreadable text gives the unspecified address.
  static SocketAddress of(const std::string& address, uint16_t port);
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  std::string host() const;
  uint16_t port() const;
};

inline bool is_v6(const std::string& address) {
  return address.find(':') != address.npos;
}

}  // namespace keelson::services
