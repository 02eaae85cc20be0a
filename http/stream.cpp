// SPDX-License-Identifier: Apache-2.0
// stream.h.
#include "http/stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cstring>

#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/write.hpp>

namespace keelson::http {

namespace {

// As Go's servers have it.
constexpr std::string_view kPlainRefused =
    "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

bool spoke_http(const boost::system::error_code& error) {
  return error.category() == asio::error::get_ssl_category() &&
         ERR_GET_REASON(static_cast<unsigned long>(error.value())) == SSL_R_HTTP_REQUEST;
}

void add_der(X509* certificate, std::vector<std::string>& list) {
  unsigned char* bytes = nullptr;
  const int size = ::i2d_X509(certificate, &bytes);
  if (size > 0) {
    list.emplace_back(reinterpret_cast<char*>(bytes), static_cast<size_t>(size));
    ::OPENSSL_free(bytes);
  }
}

}  // namespace

bool is_end(const boost::system::error_code& error) {
  return error == asio::error::eof || error == asio::ssl::error::stream_truncated;
}

// Both from one socket's executor; plain_ stays closed.
Stream::Stream(Socket socket, std::shared_ptr<asio::ssl::context> tls)
    : plain_(socket.get_executor()),
      context_(std::move(tls)),
      tls_(std::make_unique<asio::ssl::stream<Socket>>(std::move(socket), *context_)) {}

Task<> Stream::accept_tls() {
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
  co_return fail(Kind::invalid, "plain HTTP came to a server that speaks TLS");
}

Task<> Stream::connect_tls(std::string host) {
  if (!host.empty()) {
    tls_->set_verify_mode(asio::ssl::verify_peer);
    tls_->set_verify_callback(asio::ssl::host_name_verification(host));
  }
  auto [error] = co_await tls_->async_handshake(asio::ssl::stream_base::client, use_result);
  if (error) {
    co_return fail_asio(error, "TLS handshake");
  }
  co_return Result<>();
}

std::vector<std::string> Stream::peer_certificates() {
  std::vector<std::string> list;
  if (!tls_) {
    return list;
  }
  if (X509* own = ::SSL_get1_peer_certificate(tls_->native_handle()); own != nullptr) {
    add_der(own, list);
    ::X509_free(own);
  }
  // To a server, the chain is without the peer's own.
  const STACK_OF(X509)* chain = ::SSL_get_peer_cert_chain(tls_->native_handle());
  for (int i = 0; chain != nullptr && i < sk_X509_num(chain); ++i) {
    add_der(sk_X509_value(chain, i), list);
  }
  return list;
}

Task<size_t> Stream::read(asio::mutable_buffer into) {
  if (!put_back_.empty()) {
    const size_t size = std::min(into.size(), put_back_.size());
    std::memcpy(into.data(), put_back_.data(), size);
    put_back_.erase(0, size);
    co_return size;
  }
  auto [error, size] = co_await async_read_some(into, use_result);
  if (is_end(error)) {
    co_return size_t{0};
  }
  if (error) {
    co_return fail_asio(error, "read");
  }
  co_return size;
}

Task<> Stream::write(asio::const_buffer bytes) {
  auto [error, size] = co_await asio::async_write(*this, bytes, use_result);
  if (error) {
    co_return fail_asio(error, "write");
  }
  co_return Result<>();
}

Task<> Stream::end_writing() {
  if (tls_) {
    // Fails when the peer still sends; those bytes nobody wants any more.
    co_await tls_->async_shutdown(use_result);
  }
  boost::system::error_code ignored;
  socket().shutdown(Socket::shutdown_send, ignored);
  co_return Result<>();
}

}  // namespace keelson::http
