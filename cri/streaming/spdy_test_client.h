// SPDX-License-Identifier: Apache-2.0
// The other end of an SPDY session, for tests: blocking, one thread.
#pragma once

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>

#include "cri/streaming/spdy_frames.h"

namespace keelson::cri {

/// What has come on one stream.
struct SeenStream {
  bool replied = false;
  bool fin = false;
  bool reset = false;
  std::string data;
};

class SpdyClient {
 public:
  /// POSTs as client-go does; an empty `protocol` sends no header. Over a WebSocket if `protocol` is SPDY/3.1+... An
  /// https URL needs `trust`: whom to believe, the address checked; status() is 0 if the handshake fails.
  SpdyClient(const std::string& url, const std::string& protocol, SSL_CTX* trust = nullptr) : socket_(io_) {
    const auto start = url.find("://") + 3;
    host_ = url.substr(start, url.find('/', start) - start);
    target_ = url.substr(url.find('/', start));
    const auto colon = host_.rfind(':');
    socket_.connect({boost::asio::ip::make_address(host_.substr(0, colon)),
                     static_cast<uint16_t>(std::stoi(host_.substr(colon + 1)))});
    socket_.set_option(boost::asio::ip::tcp::no_delay(true));
    ::fcntl(socket_.native_handle(), F_SETFD, FD_CLOEXEC);
    const timeval limit{60, 0};  // so that a test fails rather than hangs
    ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (url.starts_with("https:") && !shake_tls(trust, host_.substr(0, colon))) {
      return;
    }
    protocol.starts_with("SPDY/3.1+") ? shake_websocket(protocol) : shake_spdy(protocol);
  }

  unsigned status() const { return status_; }
  const std::string& header(const std::string& name) { return headers_[name]; }
  const std::string& body() const { return body_; }

  uint32_t open(const SpdyHeaders& headers, bool fin = false) {
    const auto stream = next_;
    next_ += 2;
    raw(writer_.syn_stream(stream, headers, fin));
    return stream;
  }
  void send(uint32_t stream, std::string_view data, bool fin = false) { raw(SpdyWriter::data(stream, data, fin)); }
  void reset(uint32_t stream) { raw(SpdyWriter::rst_stream(stream, SpdyReset::cancel)); }
  void ping(uint32_t id) { raw(SpdyWriter::ping(id)); }
  void go_away() { raw(SpdyWriter::go_away(0)); }
  void raw(const std::string& bytes) {
    boost::system::error_code error;
    if (websocket_) {
      websocket_->write(boost::asio::buffer(bytes), error);
    } else if (tls_) {
      EXPECT_EQ(::SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size())), static_cast<int>(bytes.size()));
    } else {
      boost::asio::write(socket_, boost::asio::buffer(bytes), error);
    }
  }
  void vanish() { socket_.close(); }
  boost::asio::ip::tcp::socket& socket() { return socket_; }

  SeenStream& seen(uint32_t stream) { return streams_[stream]; }
  bool saw_go_away() const { return go_away_; }
  const std::set<uint32_t>& pings() const { return pings_; }

  /// Reads until `done` says so; false if the connection ends first.
  template <class Done>
  bool read_until(Done done) {
    while (!done()) {
      if (!read_some()) {
        return done();
      }
    }
    return true;
  }
  /// Reads until the server closes.
  void read_to_end() {
    while (read_some()) {
    }
  }
  /// Reads until the server has ended its half of the stream; what came on it.
  std::string read_stream(uint32_t stream) {
    EXPECT_TRUE(read_until([&] { return seen(stream).fin || seen(stream).reset; }));
    return seen(stream).data;
  }

 private:
  void shake_spdy(const std::string& protocol) {
    namespace http = boost::beast::http;
    raw(fmt::format(
        "POST {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0\r\n{}\r\n",
        target_, host_, protocol.empty() ? "" : "X-Stream-Protocol-Version: " + protocol + "\r\n"));
    http::response_parser<http::string_body> parser;
    parser.eager(true);
    boost::system::error_code error;
    std::string unread;
    char bytes[8192];
    while (!parser.is_done()) {
      const auto count = receive(bytes);
      if (count == 0) {
        break;
      }
      unread.append(bytes, count);
      unread.erase(0, parser.put(boost::asio::buffer(unread), error));
    }
    keep(parser.get());
    parser_.feed(unread);
  }
  bool shake_tls(SSL_CTX* trust, const std::string& address) {
    tls_.reset(::SSL_new(trust));
    ::SSL_set_verify(tls_.get(), SSL_VERIFY_PEER, nullptr);
    ::X509_VERIFY_PARAM_set1_ip_asc(::SSL_get0_param(tls_.get()), address.c_str());
    ::SSL_set_fd(tls_.get(), socket_.native_handle());
    return ::SSL_connect(tls_.get()) == 1;
  }
  void shake_websocket(const std::string& protocol) {
    websocket_ = std::make_unique<boost::beast::websocket::stream<boost::asio::ip::tcp::socket&>>(socket_);
    websocket_->set_option(
        boost::beast::websocket::stream_base::decorator([protocol](boost::beast::websocket::request_type& request) {
          request.set(boost::beast::http::field::sec_websocket_protocol, protocol);
        }));
    websocket_->binary(true);
    boost::beast::websocket::response_type response;
    boost::system::error_code error;
    websocket_->handshake(response, host_, target_, error);
    keep(response);
  }
  template <class Response>
  void keep(const Response& response) {
    status_ = response.result_int();
    body_ = response.body();
    for (const auto& field : response) {
      auto& value = headers_[std::string(field.name_string())];
      value += (value.empty() ? "" : ",") + std::string(field.value());
    }
  }

  bool read_some() {
    char bytes[8192];
    boost::system::error_code error;
    size_t count = 0;
    if (websocket_) {
      count = websocket_->read_some(boost::asio::buffer(bytes), error);
    } else {
      count = receive(bytes);
    }
    if (error || count == 0) {
      return false;
    }
    parser_.feed({bytes, count});
    for (auto frame = parser_.next(); frame && *frame; frame = parser_.next()) {
      note(**frame);
    }
    return true;
  }
  // 0: the end, or nothing for too long. recv: Asio's blocking read would wait on through the time limit.
  size_t receive(std::span<char> into) {
    const auto got = tls_ ? ::SSL_read(tls_.get(), into.data(), static_cast<int>(into.size()))
                          : ::recv(socket_.native_handle(), into.data(), into.size(), 0);
    return got > 0 ? static_cast<size_t>(got) : 0;
  }
  void note(const SpdyFrame& frame) {
    if (frame.type == SpdyType::ping) {
      pings_.insert(frame.id);
    } else if (frame.type == SpdyType::go_away) {
      go_away_ = true;
    } else {
      auto& stream = streams_[frame.id];
      stream.replied |= frame.type == SpdyType::syn_reply;
      stream.reset |= frame.type == SpdyType::rst_stream;
      stream.fin |= frame.fin;
      stream.data += frame.data;
    }
  }

  boost::asio::io_context io_;
  boost::asio::ip::tcp::socket socket_;
  std::unique_ptr<boost::beast::websocket::stream<boost::asio::ip::tcp::socket&>> websocket_;
  std::unique_ptr<SSL, decltype([](SSL* session) { ::SSL_free(session); })> tls_;
  std::string host_, target_;
  unsigned status_ = 0;
  std::map<std::string, std::string> headers_;
  std::string body_;
  SpdyParser parser_;
  SpdyWriter writer_;
  uint32_t next_ = 1;
  std::map<uint32_t, SeenStream> streams_;
  std::set<uint32_t> pings_;
  bool go_away_ = false;
};

}  // namespace keelson::cri
