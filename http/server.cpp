// SPDX-License-Identifier: Apache-2.0
#include "http/server.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "common/log.h"
#include "common/task_group.h"

namespace keelson::http {
namespace {

namespace beast = boost::beast;
namespace wire = boost::beast::http;
using Socket = asio::generic::stream_protocol::socket;
using Acceptor = asio::basic_socket_acceptor<asio::generic::stream_protocol>;

constexpr auto kRequestLimit = std::chrono::seconds(10);
constexpr auto kPieceLimit = std::chrono::seconds(30);

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

beast::string_view view(std::string_view text) {
  return {text.data(), text.size()};
}

Task<Request> read_request(Socket& socket) {
  beast::flat_buffer buffer(64 << 10);
  wire::request_parser<wire::empty_body> parser;
  auto [failed, size] = co_await wire::async_read(socket, buffer, parser, use_result);
  if (failed) {
    co_return fail_asio(failed, "read request");
  }
  const auto& message = parser.get();
  auto line = message.target();
  KEELSON_CO_TRY(auto target, parse_target(std::string_view(line.data(), line.size())));
  auto method = message.method_string();
  co_return Request{std::string(method.data(), method.size()), std::move(target)};
}

template <class Body>
void fill_head(wire::response<Body>& head, const Response& response) {
  head.version(11);
  head.result(static_cast<unsigned>(response.status));
  head.set(wire::field::content_type, view(response.type));
  for (const auto& [name, value] : response.headers) {
    head.set(view(name), view(value));
  }
  head.keep_alive(false);
}

Task<> write_whole(Socket& socket, Response response) {
  wire::response<wire::string_body> message;
  fill_head(message, response);
  message.body() = std::move(response.body);
  message.prepare_payload();
  auto [failed, size] = co_await wire::async_write(socket, message, use_result);
  if (failed) {
    co_return fail_asio(failed, "write answer");
  }
  co_return Result<>();
}

Task<> write_piece(std::shared_ptr<Socket> socket, std::string piece) {
  if (piece.empty()) {
    co_return Result<>();  // an empty chunk would end the body
  }
  auto chunk = wire::make_chunk(asio::buffer(piece));
  auto [failed, size] = co_await asio::async_write(*socket, chunk, use_result);
  if (failed) {
    co_return fail_asio(failed, "write body");
  }
  co_return Result<>();
}

/// A client that has left is noticed even while nothing is written.
Task<> wait_gone(std::shared_ptr<Socket> socket) {
  char rest[256];
  while (true) {
    auto [failed, size] = co_await socket->async_read_some(asio::buffer(rest), use_result);
    if (failed) {
      co_return fail(Kind::cancelled, "the client has left");
    }
  }
}

Task<> write_stream(Loop* loop, std::shared_ptr<Socket> socket, Response response) {
  wire::response<wire::empty_body> head;
  fill_head(head, response);
  head.chunked(true);
  wire::response_serializer<wire::empty_body> serializer(head);
  auto [failed, size] = co_await wire::async_write_header(*socket, serializer, use_result);
  if (failed) {
    co_return fail_asio(failed, "write answer");
  }
  Sink sink = [loop, socket](std::string piece) {
    return with_deadline<void>(*loop, kPieceLimit, write_piece(socket, std::move(piece)));
  };
  using namespace asio::experimental::awaitable_operators;
  auto ended = co_await (response.stream(std::move(sink)) || wait_gone(socket));
  if (ended.index() == 1) {
    co_return std::get<1>(std::move(ended));
  }
  KEELSON_CO_DO(std::get<0>(std::move(ended)));
  auto [unsent, sent] = co_await asio::async_write(*socket, wire::make_chunk_last(), use_result);
  if (unsent) {
    co_return fail_asio(unsent, "end body");
  }
  co_return Result<>();
}

}  // namespace

Response text(std::string body, int status) {
  return {.status = status, .type = "text/plain", .body = std::move(body), .headers = {}, .stream = {}};
}

Response error(const Error& failure) {
  return text(failure.message(), status_of(failure.kind()));
}

struct Server::State : std::enable_shared_from_this<Server::State> {
  State(Loop& l, std::string n, std::function<Task<Response>(Request)> a)
      : loop(l), name(std::move(n)), answer(std::move(a)), acceptor(l.io()), connections(l) {}
  Loop& loop;
  std::string name;
  std::function<Task<Response>(Request)> answer;
  Acceptor acceptor;
  std::string socket_path;
  TaskGroup connections;

  Task<> serve(std::shared_ptr<Socket> socket) {
    auto request = co_await with_deadline(loop, kRequestLimit, read_request(*socket));
    if (!request && request.error().kind() != Kind::invalid) {
      co_return std::unexpected(request.error());
    }
    Result<Response> response = std::unexpected(Error(Kind::internal, ""));
    if (request) {
      response = co_await answer(*std::move(request));
    } else {
      response = http::error(request.error());
    }
    if (!response) {
      response = http::error(response.error());
    }
    if (response->stream) {
      co_return co_await write_stream(&loop, socket, *std::move(response));
    }
    co_return co_await with_deadline<void>(loop, kPieceLimit, write_whole(*socket, *std::move(response)));
  }

  /// A client that went away is its own affair.
  static Task<> serve_quietly(std::shared_ptr<State> self, std::shared_ptr<Socket> socket) {
    if (auto done = co_await self->serve(std::move(socket)); !done) {
      log::debug("{}: {}", self->name, done.error().message());
    }
    co_return Result<>();
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

Server::Server(Loop& loop, std::string name, std::function<Task<Response>(Request)> answer)
    : state_(std::make_shared<State>(loop, std::move(name), std::move(answer))) {}

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
}

Task<> Server::run() {
  auto state = state_;
  while (true) {
    auto socket = std::make_shared<Socket>(state->loop.io());
    auto [failed] = co_await state->acceptor.async_accept(*socket, use_result);
    if (failed == asio::error::operation_aborted || !state->acceptor.is_open()) {
      state->connections.cancel();
      if (!state->socket_path.empty()) {
        ::unlink(state->socket_path.c_str());
      }
      co_return fail(Kind::cancelled, "cancelled");
    }
    if (failed) {
      log::warning("{}: accept: {}; trying again in 1 s", state->name, failed.message());
      KEELSON_CO_DO(co_await state->loop.sleep(std::chrono::seconds(1)));
      continue;
    }
    boost::system::error_code unix_socket;
    socket->set_option(asio::ip::tcp::no_delay(true), unix_socket);
    state->connections.spawn(state->name, State::serve_quietly(state, std::move(socket)));
  }
}

}  // namespace keelson::http
