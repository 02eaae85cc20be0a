// SPDX-License-Identifier: Apache-2.0
// forward_socket.h.
#include "cri/streaming/forward_socket.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <cctype>

#include <boost/asio/write.hpp>

namespace keelson::cri {

namespace {

using asio::ip::tcp;

constexpr size_t kChunk = 32 << 10;
constexpr size_t kMostQueued = 8;  // pieces
constexpr std::chrono::seconds kConnectTime{30};

}  // namespace

ForwardSocket::ForwardSocket(Loop& loop, uint16_t port)
    : loop_(loop), port_(port), socket_(loop.io()), queue_(loop.io(), kMostQueued) {}

void ForwardSocket::abort() {
  aborted_ = true;
  boost::system::error_code ignored;
  socket_.close(ignored);
  queue_.close();
}

Task<> ForwardSocket::connect_to(Fd fd, tcp::endpoint to) {
  if (aborted_) {
    co_return fail(Kind::cancelled, "closed");
  }
  boost::system::error_code error;
  socket_.assign(to.protocol(), fd.release(), error);
  if (!error) {
    auto [failed] = co_await socket_.async_connect(to, use_result);
    error = failed;
  }
  boost::system::error_code ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
  if (error) {
    socket_.close(ignored);
    auto text = error.message();
    text[0] = static_cast<char>(std::tolower(text[0]));
    co_return fail(Kind::unavailable, "connect: {}", text);
  }
  co_return Result<>();
}

Task<> ForwardSocket::connect_family(asio::thread_pool* opener, ForwardOffer offer, bool v6) {
  // A copy: were the session destroyed on its own opener's thread, that would wait for itself.
  auto open = [open = offer.open_socket, v6] { return open(v6 ? AF_INET6 : AF_INET); };
  auto fd = co_await blocking(*opener, std::move(open));
  if (!fd) {
    co_return std::unexpected(fd.error());
  }
  const auto address =
      v6 ? asio::ip::address(asio::ip::address_v6::loopback()) : asio::ip::address(asio::ip::address_v4::loopback());
  auto connecting = connect_to(std::move(*fd), tcp::endpoint(address, port_));
  co_return co_await with_deadline(loop_, kConnectTime, std::move(connecting));
}

Task<> ForwardSocket::connect(asio::thread_pool* opener, ForwardOffer offer) {
  const auto v4 = co_await connect_family(opener, offer, false);
  if (v4) {
    co_return Result<>();
  }
  if (aborted_) {
    co_return fail(Kind::cancelled, "closed");
  }
  const auto v6 = co_await connect_family(opener, offer, true);
  if (v6) {
    co_return Result<>();
  }
  co_return fail(Kind::unavailable,
                 "failed to connect to localhost:{0} inside namespace \"{1}\", IPv4: dial tcp4 127.0.0.1:{0}: {2} IPv6 "
                 "dial tcp6 [::1]:{0}: {3}",
                 port_, offer.sandbox, v4.error().message(), v6.error().message());
}

Task<std::string_view> ForwardSocket::read() {
  buffer_.resize(kChunk);
  auto [error, count] = co_await socket_.async_read_some(asio::buffer(buffer_), use_result);
  if (error == asio::error::eof) {
    co_return std::string_view();
  }
  if (error) {
    queue_.close();
    co_return fail_asio(error, "read");
  }
  co_return std::string_view(buffer_).substr(0, count);
}

Task<> ForwardSocket::send_queued() {
  while (true) {
    auto [closed, data] = co_await queue_.async_receive(use_result);
    if (closed) {
      co_return fail(Kind::cancelled, "closed");
    }
    boost::system::error_code error;
    if (data.empty()) {
      socket_.shutdown(tcp::socket::shutdown_send, error);
      co_return Result<>();
    }
    auto [failed, count] = co_await asio::async_write(socket_, asio::buffer(data), use_result);
    if (failed) {
      queue_.close();  // what else comes is dropped
      co_return fail_asio(failed, "write");
    }
  }
}

Task<> ForwardSocket::queue(std::string bytes) {
  co_await queue_.async_send(boost::system::error_code(), std::move(bytes), use_result);
  co_return Result<>();
}

std::string forward_failure(const ForwardOffer& offer, uint16_t port, const Error& error) {
  return fmt::format(
      "error forwarding port {} to pod {}, uid : failed to execute portforward in network namespace \"{}\": {}", port,
      offer.sandbox, offer.netns, error.message());
}

}  // namespace keelson::cri
