// SPDX-License-Identifier: Apache-2.0
#include "http/server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/socket_base.hpp>

#include "common/log.h"
#include "common/task_group.h"
#include "http/exchange.h"
#include "http/stream.h"
#include "http/waiting.h"

namespace keelson::http {
namespace {

using Acceptor = asio::basic_socket_acceptor<asio::generic::stream_protocol>;

int status_of(Kind kind) {
  switch (kind) {
    case Kind::invalid:
      return 400;
    case Kind::not_found:
      return 404;
    case Kind::conflict:
    case Kind::exists:
      return 409;
    case Kind::unavailable:
      return 503;
    case Kind::timeout:
      return 504;
    default:
      return 500;
  }
}

}  // namespace

Response text(std::string body, int status) {
  return {.status = status, .type = "text/plain", .body = std::move(body), .headers = {}, .stream = {}};
}

Response error(const Error& failure) {
  return text(failure.message(), status_of(failure.kind()));
}

struct Server::State : std::enable_shared_from_this<Server::State> {
  State(Loop& l, std::string n, Answer a, ServerOptions o)
      : loop(l),
        name(std::move(n)),
        answer(std::move(a)),
        options(std::move(o)),
        acceptor(l.io()),
        room(l.io()),
        waiting([this] { room.cancel(); }),
        connections(l) {
    room.expires_at(asio::steady_timer::time_point::max());
  }
  Loop& loop;
  std::string name;
  Answer answer;
  const ServerOptions options;
  Acceptor acceptor;
  std::string socket_path;
  asio::steady_timer room;  // cancelled when a connection has ended or waits, and by close()
  Waiting waiting;
  size_t open = 0;
  TaskGroup connections;

  bool is_full() const { return open >= options.max_connections + waiting.dropped(); }

  /// One connection, counted.
  struct Place {
    explicit Place(std::shared_ptr<State> s) : state(std::move(s)) { ++state->open; }
    ~Place() {
      --state->open;
      state->room.cancel();
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    std::shared_ptr<State> state;
  };

  /// A client that went away is its own affair.
  static Task<> serve(std::shared_ptr<State> self, std::shared_ptr<Stream> stream) {
    const Place place(self);
    if (auto done =
            co_await serve_connection(self->loop, std::move(stream), self->answer, self->options, self->waiting);
        !done) {
      log::debug("{}: {}", self->name, done.error().message());
    }
    co_return Result<>();
  }

  /// What has been accepted becomes a connection, if there is a certificate for it.
  void take(Stream::Socket socket) {
    prepare(socket);
    std::shared_ptr<asio::ssl::context> tls;
    if (options.tls) {
      auto usable = options.tls->current();
      if (!usable) {
        log::debug("{}: {}", name, usable.error().message());
        return;
      }
      tls = *std::move(usable);
    }
    auto stream =
        tls ? std::make_shared<Stream>(std::move(socket), std::move(tls)) : std::make_shared<Stream>(std::move(socket));
    connections.spawn(name, serve(shared_from_this(), std::move(stream)));
  }

  static void prepare(Stream::Socket& socket) {
    // Asio does not: a program that held the client's connection would keep it open after us.
    ::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
    boost::system::error_code unix_socket;
    socket.set_option(asio::ip::tcp::no_delay(true), unix_socket);
    // A client that is gone without a word is found out, as by Go's servers, within minutes and not after hours.
    socket.set_option(asio::socket_base::keep_alive(true), unix_socket);
    const int seconds = 15;
    ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
    ::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_KEEPINTVL, &seconds, sizeof seconds);
  }

  Result<> listen(const asio::generic::stream_protocol::endpoint& endpoint, const std::string& where) {
    boost::system::error_code failed, ignored;
    acceptor.close(ignored);  // of an attempt before
    acceptor.open(endpoint.protocol(), failed);
    if (!failed) {
      acceptor.set_option(asio::socket_base::reuse_address(true), failed);
    }
    if (!failed) {
      acceptor.bind(endpoint, failed);
    }
    if (!failed) {
      acceptor.listen(64, failed);
    }
    if (failed == asio::error::address_in_use) {
      return fail(Kind::exists, "{}: something else listens on {}", name, where);
    }
    if (failed) {
      return fail_asio(failed, fmt::format("{}: listen on {}", name, where));
    }
    return {};
  }
};

Server::Server(Loop& loop, std::string name, Answer answer, ServerOptions options)
    : state_(std::make_shared<State>(loop, std::move(name), std::move(answer), std::move(options))) {}

Server::~Server() = default;

Result<> Server::listen_unix(const std::string& path) {
  ::unlink(path.c_str());
  // The file exists with this mode from its first moment on: no window in which others may connect.
  mode_t before = ::umask(0177);
  auto listening = state_->listen(asio::local::stream_protocol::endpoint(path), path);
  ::umask(before);
  state_->socket_path = path;
  return listening;
}

Result<uint16_t> Server::listen_tcp(const std::string& address, uint16_t port) {
  boost::system::error_code failed;
  auto ip = asio::ip::make_address(address, failed);
  if (failed) {
    return fail(Kind::invalid, "{}: \"{}\" is no IP address", state_->name, address);
  }
  auto where = ip.is_v6() ? fmt::format("[{}]:{}", address, port) : fmt::format("{}:{}", address, port);
  KEELSON_DO(state_->listen(asio::ip::tcp::endpoint(ip, port), where));
  auto bound = state_->acceptor.local_endpoint(failed);
  if (failed) {
    return fail_asio(failed, where);
  }
  asio::ip::tcp::endpoint own;
  own.resize(bound.size());
  std::memcpy(own.data(), bound.data(), bound.size());
  return own.port();
}

void Server::close() {
  boost::system::error_code ignored;
  state_->acceptor.close(ignored);
  state_->room.cancel();
}

Task<> Server::run() {
  auto state = state_;
  while (true) {
    Stream::Socket socket(state->loop.io());
    auto [failed] = co_await state->acceptor.async_accept(socket, use_result);
    if (failed == asio::error::operation_aborted || !state->acceptor.is_open()) {
      if (!state->socket_path.empty()) {
        ::unlink(state->socket_path.c_str());
      }
      // Nothing that uses the handler is left when this ends.
      co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
      KEELSON_CO_DO(co_await state->connections.close());
      co_return fail(Kind::cancelled, "cancelled");
    }
    if (failed) {
      log::warning("{}: accept: {}; trying again in 1 s", state->name, failed.message());
      KEELSON_CO_DO(co_await state->loop.sleep(std::chrono::seconds(1)));
      continue;
    }
    while (state->acceptor.is_open() && state->is_full() && !state->waiting.drop_longest()) {
      co_await state->room.async_wait(use_result);
      if ((co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none) {
        state->acceptor.close();
      }
    }
    if (state->acceptor.is_open()) {
      state->take(std::move(socket));
    }
  }
}

}  // namespace keelson::http
