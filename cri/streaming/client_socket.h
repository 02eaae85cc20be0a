// SPDX-License-Identifier: Apache-2.0
// A client's connection: TCP, or TLS over it. What runs over it (HTTP, WebSocket, SPDY) does not see which: it is an
// AsyncStream to Asio and Beast.
#pragma once

#include <memory>
#include <utility>

#include <boost/asio/async_result.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/role.hpp>
#include <boost/beast/websocket/teardown.hpp>

#include "common/loop.h"

namespace keelson::cri {

/// Belongs to the loop's thread; one read and one write at a time. Moved only while neither is under way.
class ClientSocket {
 public:
  using Tcp = asio::ip::tcp::socket;
  using executor_type = Tcp::executor_type;

  /// Plain.
  explicit ClientSocket(Tcp socket) : plain_(std::move(socket)) {}
  /// TLS; nothing but shake_hands() before it has succeeded.
  ClientSocket(Tcp socket, std::shared_ptr<asio::ssl::context> tls);

  bool secure() const { return tls_ != nullptr; }
  /// The server's part of the TLS handshake; nothing to do on a plain one. A client that speaks plain HTTP is told so
  /// in HTTP. Kind::invalid, or unavailable if the client left.
  Task<> shake_hands();

  /// The TCP connection itself, for its options and for breaking it.
  Tcp& socket() { return tls_ ? tls_->next_layer() : plain_; }
  /// No more is written: the peer's next read after what was written tells it the end. With TLS this waits for the
  /// peer's own end, so it is called under a deadline.
  Task<> end_writing();

  executor_type get_executor() { return socket().get_executor(); }
  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return asio::async_initiate<Token, void(boost::system::error_code, size_t)>(
        [this](auto handler, const Buffers& where) {
          if (tls_) {
            tls_->async_read_some(where, std::move(handler));
          } else {
            plain_.async_read_some(where, std::move(handler));
          }
        },
        token, buffers);
  }
  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return asio::async_initiate<Token, void(boost::system::error_code, size_t)>(
        [this](auto handler, const Buffers& what) {
          if (tls_) {
            tls_->async_write_some(what, std::move(handler));
          } else {
            plain_.async_write_some(what, std::move(handler));
          }
        },
        token, buffers);
  }

  /// What Beast's WebSocket asks of a stream: an orderly end, and a sudden one.
  template <class Handler>
  friend void async_teardown(boost::beast::role_type role, ClientSocket& self, Handler&& handler) {
    if (self.tls_) {
      self.tls_->async_shutdown(std::forward<Handler>(handler));
    } else {
      boost::beast::websocket::async_teardown(role, self.plain_, std::forward<Handler>(handler));
    }
  }
  friend void beast_close_socket(ClientSocket& self) {
    boost::system::error_code ignored;
    self.socket().close(ignored);
  }

 private:
  Tcp plain_;
  std::shared_ptr<asio::ssl::context> context_;  // outlives tls_
  std::unique_ptr<asio::ssl::stream<Tcp>> tls_;
};

}  // namespace keelson::cri
