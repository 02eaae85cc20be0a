// SPDX-License-Identifier: Apache-2.0
// A socket, plain or with TLS over it. What runs over it does not see which: it is an AsyncStream to Asio and Beast.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/async_result.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>

#include "common/loop.h"
#include "http/connection.h"

namespace keelson::http {

/// Belongs to the loop's thread; one read and one write at a time.
class Stream : public Connection {
 public:
  using Socket = asio::generic::stream_protocol::socket;
  using executor_type = Socket::executor_type;

  /// Plain.
  explicit Stream(Socket socket) : plain_(std::move(socket)) {}
  /// TLS; nothing but accept_tls() or connect_tls() before it has succeeded.
  Stream(Socket socket, std::shared_ptr<asio::ssl::context> tls);

  bool secure() const { return tls_ != nullptr; }
  /// The server's part of the TLS handshake; nothing to do on a plain one. A client that speaks plain HTTP is told so
  /// in HTTP. Kind::invalid, or unavailable if the client left.
  Task<> accept_tls();
  /// The client's part. `host`: an address or name that the server's certificate must have; empty: whoever it is.
  Task<> connect_tls(std::string host);
  /// The certificates that the peer has shown, in DER, its own first; nobody has checked whose they are.
  std::vector<std::string> peer_certificates();

  /// The socket itself, for its options and for breaking it.
  Socket& socket() { return tls_ ? tls_->next_layer() : plain_; }
  /// What is over it; nullptr: it is plain.
  asio::ssl::stream<Socket>* tls() { return tls_.get(); }

  /// Bytes that were read from the socket already, and are to be read first.
  void put_back(std::string bytes) { put_back_ = std::move(bytes); }
  Task<size_t> read(asio::mutable_buffer into) override;
  Task<> write(asio::const_buffer bytes) override;
  Task<> end_writing() override;

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

 private:
  Socket plain_;
  std::shared_ptr<asio::ssl::context> context_;  // outlives tls_
  std::unique_ptr<asio::ssl::stream<Socket>> tls_;
  std::string put_back_;
};

/// The peer has ended its direction; without TLS's own word for it, too (many programs do not say it).
bool is_end(const boost::system::error_code& error);

}  // namespace keelson::http
