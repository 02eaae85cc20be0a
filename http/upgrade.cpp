// SPDX-License-Identifier: Apache-2.0
// upgrade.h.
#include "http/upgrade.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/url/parse.hpp>

#include "http/stream.h"

namespace keelson::http {
namespace {

namespace beast = boost::beast;
namespace wire = boost::beast::http;
using asio::ip::tcp;

constexpr auto kConnectLimit = std::chrono::seconds(10);
constexpr auto kAnswerLimit = std::chrono::seconds(30);
constexpr auto kEndLimit = std::chrono::seconds(1);
constexpr size_t kMaxAnswer = 64 << 10;
constexpr size_t kPiece = 32 << 10;

/// What the client alone may know, and what is said anew.
constexpr std::string_view kKept[] = {"Authorization", "Cookie", "Proxy-Authorization", "Host"};

struct Url {
  bool secure = false;
  tcp::endpoint server;
  std::string host;    // with port, as a Host header
  std::string target;  // path and query
};

Result<Url> take_apart(const std::string& text) {
  const auto url = boost::urls::parse_uri(text);
  boost::system::error_code error;
  const auto address = asio::ip::make_address(url ? std::string(url->host_address()) : std::string(), error);
  if (!url || error || (url->scheme() != "http" && url->scheme() != "https")) {
    return fail(Kind::internal, "the runtime's streaming address is no http:// or https:// URL with an IP address");
  }
  const bool secure = url->scheme() == "https";
  const uint16_t port = url->has_port() ? url->port_number() : secure ? 443 : 80;
  return Url{.secure = secure,
             .server = tcp::endpoint(address, port),
             .host = std::string(url->encoded_host_and_port()),
             .target = std::string(url->encoded_resource())};
}

Task<std::shared_ptr<Stream>> connect(Loop* loop, Url url) {
  tcp::socket socket(loop->io());
  auto [error] = co_await socket.async_connect(url.server, use_result);
  if (error) {
    co_return fail_asio(error, "connect to the runtime's streaming server");
  }
  ::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
  boost::system::error_code ignored;
  socket.set_option(tcp::no_delay(true), ignored);
  if (!url.secure) {
    co_return std::make_shared<Stream>(std::move(socket));
  }
  auto trust = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
  trust->set_default_verify_paths(ignored);
  auto stream = std::make_shared<Stream>(std::move(socket), std::move(trust));
  const auto address = url.server.address();
  KEELSON_CO_DO(co_await stream->connect_tls(address.is_loopback() ? "" : address.to_string()));
  co_return stream;
}

std::string head_of(const Request& request, const Url& url) {
  auto head =
      fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n", request.method, url.target.empty() ? "/" : url.target, url.host);
  for (const auto& [name, value] : request.headers) {
    const bool kept = std::ranges::any_of(kKept, [&](std::string_view own) {
      return beast::iequals({own.data(), own.size()}, {name.data(), name.size()});
    });
    if (!kept) {
      head += fmt::format("{}: {}\r\n", name, value);
    }
  }
  return head + "\r\n";
}

/// The other server's answer, up to where its connection is its protocol's; what came behind is put back.
Task<wire::response<wire::string_body>> read_answer(std::shared_ptr<Stream> server) {
  beast::flat_buffer buffer(2 * kMaxAnswer);
  wire::response_parser<wire::string_body> parser;
  parser.header_limit(kMaxAnswer);
  parser.body_limit(kMaxAnswer);
  auto [failed, size] = co_await wire::async_read_header(*server, buffer, parser, use_result);
  if (!failed && parser.get().result() != wire::status::switching_protocols) {
    auto [cut, more] = co_await wire::async_read(*server, buffer, parser, use_result);
    failed = cut;
  }
  if (failed) {
    co_return fail_asio(failed, "read the answer of the runtime's streaming server");
  }
  server->put_back(beast::buffers_to_string(buffer.data()));
  co_return parser.release();
}

template <class Message>
std::string text_of(Message message) {
  std::string text;
  beast::error_code error;
  wire::response_serializer<wire::string_body> serializer(message);
  while (!serializer.is_done()) {
    serializer.next(error, [&](beast::error_code& failed, const auto& buffers) {
      failed = {};
      text += beast::buffers_to_string(buffers);
      serializer.consume(beast::buffer_bytes(buffers));
    });
  }
  return text;
}

/// One session between two connections. Lives in pass()'s frame.
class Session {
 public:
  Session(Loop& loop, Connection& client, std::shared_ptr<Stream> server, Duration idle)
      : loop_(loop), client_(client), server_(std::move(server)), idle_(idle), moved_(loop.clock().steady()) {}

  /// Ends when the server's side has ended, either is broken, or nothing has moved for long.
  Task<> run() {
    using namespace asio::experimental::awaitable_operators;
    co_await (from_client() || from_server() || watch_idle());
    (void)(co_await with_deadline<void>(loop_, kEndLimit, client_.end_writing())).has_value();
    co_return Result<>();
  }

 private:
  /// Ends only by an error: after the client's last word the server may have much to say.
  Task<> from_client() {
    KEELSON_CO_DO(co_await copy(client_, *server_));
    KEELSON_CO_DO(co_await server_->end_writing());
    while (true) {
      KEELSON_CO_DO(co_await loop_.sleep(std::chrono::hours(24)));
    }
  }
  Task<> from_server() { co_return co_await copy(*server_, client_); }

  Task<> copy(Connection& from, Connection& to) {
    std::vector<char> piece(kPiece);
    while (true) {
      KEELSON_CO_TRY(const size_t size, co_await from.read(asio::buffer(piece)));
      if (size == 0) {
        co_return Result<>();
      }
      KEELSON_CO_DO(co_await to.write(asio::buffer(piece.data(), size)));
      moved_ = loop_.clock().steady();
    }
  }

  Task<> watch_idle() {
    while (true) {
      const Duration left = moved_ + idle_ - loop_.clock().steady();
      if (left <= Duration::zero()) {
        co_return fail(Kind::timeout, "nothing has moved for {} s", idle_ / std::chrono::seconds(1));
      }
      KEELSON_CO_DO(co_await loop_.sleep(left));
    }
  }

  Loop& loop_;
  Connection& client_;
  std::shared_ptr<Stream> server_;
  const Duration idle_;
  SteadyTime moved_;
};

Task<> refuse(Connection& client, const Error& why) {
  const auto body = "the runtime's streaming server: " + why.message() + "\n";
  const auto answer = fmt::format(
      "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n"
      "Connection: close\r\n\r\n{}",
      body.size(), body);
  co_return co_await client.write(asio::buffer(answer));
}

Task<std::shared_ptr<Stream>> ask(Loop* loop, std::string url, Request request) {
  KEELSON_CO_TRY(auto parts, take_apart(url));
  KEELSON_CO_TRY(auto server,
                 co_await with_deadline<std::shared_ptr<Stream>>(*loop, kConnectLimit, connect(loop, parts)));
  const auto head = head_of(request, parts) + request.body;
  KEELSON_CO_DO(co_await with_deadline<void>(*loop, kConnectLimit, server->write(asio::buffer(head))));
  co_return server;
}

Task<> pass(Loop* loop, std::unique_ptr<Connection> client, Request request, std::string url, Duration idle) {
  auto server = co_await ask(loop, std::move(url), std::move(request));
  if (!server) {
    co_return co_await refuse(*client, server.error());
  }
  using Message = wire::response<wire::string_body>;
  auto answer = co_await with_deadline<Message>(*loop, kAnswerLimit, read_answer(*server));
  if (!answer) {
    co_return co_await refuse(*client, answer.error());
  }
  const bool upgraded = answer->result() == wire::status::switching_protocols;
  if (!upgraded) {
    answer->erase(wire::field::transfer_encoding);
    answer->content_length(answer->body().size());
    answer->keep_alive(false);
  }
  const auto text = text_of(*std::move(answer));
  KEELSON_CO_DO(co_await with_deadline<void>(*loop, kAnswerLimit, client->write(asio::buffer(text))));
  if (!upgraded) {
    co_return co_await with_deadline<void>(*loop, kEndLimit, client->end_writing());
  }
  Session session(*loop, *client, *std::move(server), idle);
  co_return co_await session.run();
}

}  // namespace

Response pass_upgrade(Loop& loop, Request request, std::string url, Duration idle) {
  auto passed = std::make_shared<Request>(std::move(request));
  Response response;
  response.take_over = [&loop, passed, url = std::move(url), idle](std::unique_ptr<Connection> client) {
    return pass(&loop, std::move(client), std::move(*passed), url, idle);
  };
  return response;
}

}  // namespace keelson::http
