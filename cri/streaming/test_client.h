// SPDX-License-Identifier: Apache-2.0
// The other end of a streaming session, for tests.
#pragma once

#include <fcntl.h>

#include <map>
#include <string>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>

#include "cri/streaming/channels.h"

namespace keelson::cri {

/// Connects to a session's URL, as kubectl would.
class StreamClient {
 public:
  StreamClient(const std::string& url, const std::string& protocol) : socket_(io_) {
    const auto host = url.substr(7, url.find('/', 7) - 7);
    const auto colon = host.rfind(':');
    const boost::asio::ip::tcp::endpoint endpoint(boost::asio::ip::make_address(host.substr(0, colon)),
                                                  static_cast<uint16_t>(std::stoi(host.substr(colon + 1))));
    socket_.next_layer().connect(endpoint);
    // A command that held this end, too, would keep it open after vanish().
    ::fcntl(socket_.next_layer().native_handle(), F_SETFD, FD_CLOEXEC);
    socket_.set_option(
        boost::beast::websocket::stream_base::decorator([protocol](boost::beast::websocket::request_type& request) {
          request.set(boost::beast::http::field::sec_websocket_protocol, protocol);
        }));
    socket_.binary(true);
    socket_.handshake(response_, host, url.substr(url.find('/', 7)), error_);
  }
  boost::beast::error_code error() const { return error_; }
  unsigned status() const { return response_.result_int(); }
  void send(Channel channel, std::string data) {
    data.insert(data.begin(), static_cast<char>(channel));
    socket_.write(boost::asio::buffer(data));
  }
  void vanish() { socket_.next_layer().close(); }
  // All that comes until the server closes, by channel.
  std::map<Channel, std::string> read_to_end() {
    std::map<Channel, std::string> all;
    while (true) {
      boost::beast::flat_buffer buffer;
      socket_.read(buffer, error_);
      if (error_) {
        return all;
      }
      const auto message = boost::beast::buffers_to_string(buffer.data());
      all[static_cast<Channel>(static_cast<uint8_t>(message.at(0)))] += message.substr(1);
    }
  }

 private:
  boost::asio::io_context io_;
  boost::beast::websocket::stream<boost::asio::ip::tcp::socket> socket_;
  boost::beast::websocket::response_type response_;
  boost::beast::error_code error_;
};

}  // namespace keelson::cri
