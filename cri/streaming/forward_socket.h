// SPDX-License-Identifier: Apache-2.0
// One forwarded TCP connection into a sandbox, whatever carries it to the client.
#pragma once

#include <string>

#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "common/loop.h"
#include "cri/streaming/server.h"

namespace keelson::cri {

/// Belongs to the loop's thread. The client's bytes wait in a queue of at most 8 pieces, so that a server that does not
/// read holds no other connection up at once.
class ForwardSocket {
 public:
  ForwardSocket(Loop& loop, uint16_t port);

  uint16_t port() const { return port_; }
  /// Over IPv4's loopback or IPv6's, whichever answers first in this order, 30 s each. `opener` runs the offer's
  /// open_socket. Kind::unavailable with containerd's text; cancelled after abort().
  Task<> connect(asio::thread_pool* opener, ForwardOffer offer);
  /// The server's next bytes, valid until the next read; empty at their end.
  Task<std::string_view> read();
  /// Carries what is queued to the server until the end is queued, or the server takes no more.
  Task<> send_queued();
  /// Queues the client's bytes; an empty text is their end. Waits while the queue is full; drops them when the server
  /// takes no more.
  Task<> queue(std::string bytes);
  /// Ends both directions from outside: their next step fails.
  void abort();
  bool aborted() const { return aborted_; }

 private:
  Task<> connect_family(asio::thread_pool* opener, ForwardOffer offer, bool v6);
  Task<> connect_to(Fd fd, asio::ip::tcp::endpoint to);

  Loop& loop_;
  const uint16_t port_;
  bool aborted_ = false;
  asio::ip::tcp::socket socket_;
  std::string buffer_;
  asio::experimental::channel<void(boost::system::error_code, std::string)> queue_;
};

/// What the client is told when a forward has failed, as containerd words it.
std::string forward_failure(const ForwardOffer& offer, uint16_t port, const Error& error);

}  // namespace keelson::cri
