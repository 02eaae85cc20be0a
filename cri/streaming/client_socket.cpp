// SPDX-License-Identifier: Apache-2.0
// client_socket.h.
#include "cri/streaming/client_socket.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <boost/asio/ssl/error.hpp>
#include <boost/asio/write.hpp>

namespace keelson::cri {

namespace {

// As Go's servers have it.
constexpr std::string_view kPlainRefused =
    "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

bool spoke_http(const boost::system::error_code& error) {
  return error.category() == asio::error::get_ssl_category() &&
         ERR_GET_REASON(static_cast<unsigned long>(error.value())) == SSL_R_HTTP_REQUEST;
}

}  // namespace

// Both from one socket's executor; plain_ stays closed.
ClientSocket::ClientSocket(Tcp socket, std::shared_ptr<asio::ssl::context> tls)
    : plain_(socket.get_executor()),
      context_(std::move(tls)),
      tls_(std::make_unique<asio::ssl::stream<Tcp>>(std::move(socket), *context_)) {}

Task<> ClientSocket::shake_hands() {
  if (!tls_) {
    co_return Result<>();
  }
  auto [error] = co_await tls_->async_handshake(asio::ssl::stream_base::server, use_result);
  if (!error) {
    co_return Result<>();
  }
  if (!spoke_http(error)) {
    co_return fail_asio(error, "TLS handshake");
  }
  co_await asio::async_write(tls_->next_layer(), asio::buffer(kPlainRefused), use_result);
  co_return fail(Kind::invalid, "plain HTTP came to the streaming server, which serves TLS");
}

Task<> ClientSocket::end_writing() {
  if (tls_) {
    // Fails when the peer still sends; its bytes are the caller's to drain.
    co_await tls_->async_shutdown(use_result);
  }
  boost::system::error_code ignored;
  socket().shutdown(Tcp::shutdown_send, ignored);
  co_return Result<>();
}

}  // namespace keelson::cri
