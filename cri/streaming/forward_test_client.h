// SPDX-License-Identifier: Apache-2.0
// The other end of ports over WebSocket messages, for tests: blocking, one thread.
#pragma once

#include <fcntl.h>
#include <sys/time.h>

#include <map>
#include <string>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>

namespace keelson::cri {

class ForwardClient {
 public:
  /// `query` as in "?port=80"; an empty `protocol` names none.
  ForwardClient(const std::string& url, const std::string& query, const std::string& protocol) : socket_(io_) {
    const auto host = url.substr(7, url.find('/', 7) - 7);
    const auto colon = host.rfind(':');
    auto& tcp = socket_.next_layer();
    tcp.connect({boost::asio::ip::make_address(host.substr(0, colon)),
                 static_cast<uint16_t>(std::stoi(host.substr(colon + 1)))});
    tcp.set_option(boost::asio::ip::tcp::no_delay(true));
    ::fcntl(tcp.native_handle(), F_SETFD, FD_CLOEXEC);
    socket_.set_option(
        boost::beast::websocket::stream_base::decorator([protocol](boost::beast::websocket::request_type& request) {
          if (!protocol.empty()) {
            request.set(boost::beast::http::field::sec_websocket_protocol, protocol);
          }
        }));
    socket_.binary(protocol.find("base64") == std::string::npos);
    socket_.handshake(response_, host, url.substr(url.find('/', 7)) + query, error_);
  }

  unsigned status() const { return response_.result_int(); }
  const std::string& body() const { return response_.body(); }
  std::string protocol() const { return std::string(response_[boost::beast::http::field::sec_websocket_protocol]); }
  /// Whether what came last was a binary message.
  bool binary() const { return socket_.got_binary(); }

  /// The message's first byte is its channel.
  void send(const std::string& message) { socket_.write(boost::asio::buffer(message), error_); }
  /// All that has come on a channel, once `size` bytes have; less if the server ends first.
  std::string read(char channel, size_t size) {
    while (got_[channel].size() < size && read_message()) {
    }
    return got_[channel];
  }
  /// Until the server closes; then all of a channel.
  std::string read_to_end(char channel) {
    while (read_message()) {
    }
    return got_[channel];
  }
  /// Why reading ended.
  boost::beast::error_code error() const { return error_; }
  void vanish() { socket_.next_layer().close(); }

 private:
  bool read_message() {
    if (error_) {
      return false;
    }
    boost::beast::flat_buffer buffer;
    socket_.read(buffer, error_);
    if (error_) {
      return false;
    }
    const auto message = boost::beast::buffers_to_string(buffer.data());
    got_[message.at(0)] += message.substr(1);
    return true;
  }

  boost::asio::io_context io_;
  boost::beast::websocket::stream<boost::asio::ip::tcp::socket> socket_;
  boost::beast::websocket::response_type response_;
  boost::beast::error_code error_;
  std::map<char, std::string> got_;
};

}  // namespace keelson::cri
