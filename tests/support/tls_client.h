// SPDX-License-Identifier: Apache-2.0
// A blocking client for tests: TCP, or TLS with or without a certificate of its own.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>

#include "tests/support/certificates.h"

namespace keelson::testing {

class TlsClient {
 public:
  using Tcp = boost::asio::ip::tcp;
  using Method = boost::asio::ssl::context::method;

  /// Plain.
  explicit TlsClient(uint16_t port) : stream_(io_, tls_) {
    lower().connect({boost::asio::ip::address_v4::loopback(), port});
    timeval limit{.tv_sec = 60, .tv_usec = 0};
    ::setsockopt(lower().native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  /// What became of the handshake.
  boost::system::error_code shake_hands() {
    boost::system::error_code error;
    stream_.handshake(boost::asio::ssl::stream_base::client, error);
    secure_ = !error;
    return error;
  }
  /// TLS, with a certificate to show.
  TlsClient(uint16_t port, const TestCertificate& own) : TlsClient(port) {
    ::SSL_use_certificate(stream_.native_handle(), read_certificate(own.certificate).get());
    ::SSL_use_PrivateKey(stream_.native_handle(), read_key(own.key).get());
    EXPECT_FALSE(shake_hands());
  }
  Tcp::socket& lower() { return stream_.next_layer(); }
  SSL* tls() { return stream_.native_handle(); }

  void send(const std::string& text) {
    boost::system::error_code ignored;
    if (secure_) {
      boost::asio::write(stream_, boost::asio::buffer(text), ignored);
    } else {
      boost::asio::write(lower(), boost::asio::buffer(text), ignored);
    }
  }
  /// Until `end` has come, or the end of all.
  std::string receive(const std::string& end = "\1") {
    std::string text;
    char piece[4096];
    boost::system::error_code error;
    while (text.find(end) == text.npos && !error) {
      const auto buffer = boost::asio::buffer(piece);
      const size_t size = secure_ ? stream_.read_some(buffer, error) : lower().read_some(buffer, error);
      text.append(piece, size);
    }
    last_ = error;
    return text;
  }
  /// How the last receive() ended.
  boost::system::error_code last() const { return last_; }
  /// "GET /path" on this connection, and the answer up to `end`.
  std::string ask(const std::string& line, const std::string& end = "\1", const std::string& headers = "",
                  const std::string& body = "") {
    send(line + " HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n" + body);
    return receive(end);
  }

 private:
  using Certificate = std::unique_ptr<X509, decltype([](X509* c) { ::X509_free(c); })>;
  using Key = std::unique_ptr<EVP_PKEY, decltype([](EVP_PKEY* k) { ::EVP_PKEY_free(k); })>;
  static Certificate read_certificate(const std::string& pem) {
    BIO* text = ::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
    Certificate read(::PEM_read_bio_X509(text, nullptr, nullptr, nullptr));
    ::BIO_free(text);
    return read;
  }
  static Key read_key(const std::string& pem) {
    BIO* text = ::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
    Key read(::PEM_read_bio_PrivateKey(text, nullptr, nullptr, nullptr));
    ::BIO_free(text);
    return read;
  }

  boost::asio::io_context io_;
  boost::asio::ssl::context tls_{boost::asio::ssl::context::tls_client};
  boost::asio::ssl::stream<Tcp::socket> stream_;
  bool secure_ = false;
  boost::system::error_code last_;
};

}  // namespace keelson::testing
