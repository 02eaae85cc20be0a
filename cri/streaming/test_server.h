// SPDX-License-Identifier: Apache-2.0
// What tests forward ports to.
#pragma once

#include <sys/socket.h>

#include <functional>
#include <string>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

namespace keelson::cri {

/// A server for one connection at a time; `serve` gets each.
class TestServer {
 public:
  TestServer(const std::string& address, std::function<void(boost::asio::ip::tcp::socket&)> serve)
      : acceptor_(io_, {boost::asio::ip::make_address(address), 0}), thread_([this, serve = std::move(serve)] {
          while (true) {
            boost::system::error_code error;
            auto socket = acceptor_.accept(error);
            if (error) {
              return;
            }
            serve(socket);
          }
        }) {}
  ~TestServer() {
    ::shutdown(acceptor_.native_handle(), SHUT_RDWR);
    thread_.join();
  }
  std::string port() const { return std::to_string(acceptor_.local_endpoint().port()); }

 private:
  boost::asio::io_context io_;
  boost::asio::ip::tcp::acceptor acceptor_;
  std::thread thread_;
};

/// What comes until the other end has ended its half.
inline std::string read_all(boost::asio::ip::tcp::socket& socket) {
  std::string all;
  boost::system::error_code error;
  boost::asio::read(socket, boost::asio::dynamic_buffer(all), error);
  return all;
}

}  // namespace keelson::cri
