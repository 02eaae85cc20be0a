// SPDX-License-Identifier: Apache-2.0
// HTTP by Beast, TCP by Asio, commands by the caller; gRPC is in grpc_probe.cpp.
#include "probes/probe.h"

#include <fmt/format.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url.hpp>

#include "probes/grpc_probe.h"

namespace keelson::probes {

namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using Socket = asio::ip::tcp::socket;

constexpr size_t kMaxBody = 10 * 1024;
constexpr int kMaxRedirects = 10;
constexpr const char* kUserAgent = "kube-probe/1.34";

std::string url_host(const std::string& host) {
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

std::string url_of(const Target& target) {
  return fmt::format("{}://{}:{}{}", target.handler == Handler::https ? "https" : "http", url_host(target.host),
                     target.port, target.path);
}

/// Go's words for the errors that people know.
std::string error_text(const boost::system::error_code& error) {
  if (error == asio::error::connection_refused) {
    return "connect: connection refused";
  }
  if (error == asio::error::host_unreachable) {
    return "connect: no route to host";
  }
  if (error == asio::error::eof || error == http::error::end_of_stream) {
    return "EOF";
  }
  return error.message();
}

std::string dial_text(const Target& target, const boost::system::error_code& error) {
  return fmt::format("dial tcp {}:{}: {}", url_host(target.host), target.port, error_text(error));
}

asio::awaitable<boost::system::error_code> connect(Socket* socket, std::string host, uint16_t port) {
  boost::system::error_code bad;
  auto address = asio::ip::make_address(host, bad);
  if (bad) {
    co_return bad;
  }
  auto [error] = co_await socket->async_connect({address, port}, use_result);
  if (!error) {
    // Many short connections: none shall wait in TIME_WAIT on our side for long.
    boost::system::error_code ignored;
    socket->set_option(asio::socket_base::linger(true, 1), ignored);
    socket->set_option(asio::ip::tcp::no_delay(true), ignored);
  }
  co_return error;
}

http::request<http::empty_body> make_request(const Target& target) {
  http::request<http::empty_body> request(http::verb::get, target.path.empty() ? "/" : target.path, 11);
  bool default_port = target.port == (target.handler == Handler::https ? 443 : 80);
  request.set(http::field::host,
              default_port ? url_host(target.host) : fmt::format("{}:{}", url_host(target.host), target.port));
  request.set(http::field::user_agent, kUserAgent);
  request.set(http::field::accept, "*/*");
  request.set(http::field::connection, "close");
  for (const auto& [name, value] : target.headers) {
    if (value.empty() && beast::iequals(name, "Accept")) {
      request.erase(http::field::accept);
    } else if (beast::iequals(name, "Host") || beast::iequals(name, "User-Agent") || beast::iequals(name, "Accept")) {
      request.set(name, value);
    } else {
      request.insert(name, value);
    }
  }
  return request;
}

struct Response {
  int status = 0;
  std::string location;
};

template <class Stream>
Task<Response> exchange(Stream* stream, Target target) {
  auto request = make_request(target);
  auto [write_error, written] = co_await http::async_write(*stream, request, use_result);
  if (write_error) {
    co_return fail(Kind::unavailable, "Get \"{}\": {}", url_of(target), error_text(write_error));
  }
  beast::flat_buffer buffer(kMaxBody + 8192);
  http::response_parser<http::string_body> parser;
  auto [read_error, read] = co_await http::async_read_header(*stream, buffer, parser, use_result);
  if (read_error) {
    co_return fail(Kind::unavailable, "Get \"{}\": {}", url_of(target), error_text(read_error));
  }
  co_return Response{static_cast<int>(parser.get().result_int()), std::string(parser.get()[http::field::location])};
}

Task<Response> get(Loop* loop, Target target) {
  Socket socket(loop->io());
  if (auto error = co_await connect(&socket, target.host, target.port); error) {
    co_return fail(Kind::unavailable, "Get \"{}\": {}", url_of(target), dial_text(target, error));
  }
  if (target.handler != Handler::https) {
    co_return co_await exchange(&socket, std::move(target));
  }
  asio::ssl::context context(asio::ssl::context::tls_client);
  context.set_verify_mode(asio::ssl::verify_none);
  asio::ssl::stream<Socket> stream(std::move(socket), context);
  auto [error] = co_await stream.async_handshake(asio::ssl::stream_base::client, use_result);
  if (error) {
    co_return fail(Kind::unavailable, "Get \"{}\": {}", url_of(target), error_text(error));
  }
  co_return co_await exchange(&stream, std::move(target));
}

/// The target that a redirect leads to; nothing if it is another host's.
std::optional<Target> redirected(const Target& target, const std::string& location) {
  auto from = url_of(target);  // the views below look into it
  auto base = boost::urls::parse_uri(from);
  auto reference = boost::urls::parse_uri_reference(location);
  if (!base || !reference) {
    return std::nullopt;
  }
  boost::urls::url whole;
  if (auto resolved = boost::urls::resolve(*base, *reference, whole); !resolved) {
    return std::nullopt;
  }
  Target next = target;
  next.handler = whole.scheme() == "https" ? Handler::https : Handler::http;
  auto host = std::string(whole.host_address());
  if (host != target.host) {
    return std::nullopt;
  }
  next.port = whole.has_port() ? whole.port_number() : (next.handler == Handler::https ? 443 : 80);
  next.path = std::string(whole.encoded_target());
  return next;
}

Task<TryResult> try_http(Loop* loop, Target target) {
  for (int hop = 0; hop <= kMaxRedirects; ++hop) {
    auto response = co_await get(loop, target);
    if (!response) {
      co_return TryResult{Outcome::failure, response.error().what()};
    }
    bool redirect = response->status >= 300 && response->status < 400 && !response->location.empty();
    auto next = redirect ? redirected(target, response->location) : std::nullopt;
    if (!next) {
      if (response->status >= 200 && response->status < 400) {
        co_return TryResult{Outcome::success, ""};
      }
      co_return TryResult{Outcome::failure, fmt::format("HTTP probe failed with statuscode: {}", response->status)};
    }
    target = *next;
  }
  co_return TryResult{Outcome::failure,
                      fmt::format("Get \"{}\": stopped after {} redirects", url_of(target), kMaxRedirects)};
}

Task<TryResult> try_tcp(Loop* loop, Target target) {
  Socket socket(loop->io());
  if (auto error = co_await connect(&socket, target.host, target.port); error) {
    co_return TryResult{Outcome::failure, dial_text(target, error)};
  }
  co_return TryResult{Outcome::success, ""};
}

Task<TryResult> try_command(Target target, Duration limit, RunCommand run_command) {
  auto outcome = co_await run_command(target.command, limit);
  if (!outcome && outcome.error().kind() == Kind::timeout) {
    co_return TryResult{Outcome::failure, fmt::format("command timed out: \"{}\" timed out after {}s",
                                                      fmt::join(target.command, " "), limit / std::chrono::seconds(1))};
  }
  if (!outcome) {
    co_return TryResult{Outcome::error, outcome.error().message()};
  }
  outcome->output.resize(std::min(outcome->output.size(), kMaxBody));
  co_return TryResult{outcome->exit_code == 0 ? Outcome::success : Outcome::failure, outcome->output};
}

Task<TryResult> try_target(Loop* loop, Target target, Duration limit, RunCommand run_command) {
  switch (target.handler) {
    case Handler::http:
    case Handler::https:
      return try_http(loop, std::move(target));
    case Handler::tcp:
      return try_tcp(loop, std::move(target));
    case Handler::grpc:
      return try_grpc(loop, std::move(target), limit);
    case Handler::exec:
      return try_command(std::move(target), limit, std::move(run_command));
  }
  return try_tcp(loop, std::move(target));
}

}  // namespace

asio::awaitable<TryResult> try_once(Loop& loop, Target target, Duration limit, RunCommand run_command) {
  // A command has its own clock, in the runtime; ours is for a runtime that hangs.
  auto deadline = target.handler == Handler::exec ? limit + std::chrono::seconds(2) : limit;
  auto url = url_of(target);
  auto handler = target.handler;
  auto result =
      co_await with_deadline(loop, deadline, try_target(&loop, std::move(target), limit, std::move(run_command)));
  if (result) {
    co_return *std::move(result);
  }
  if (result.error().kind() != Kind::timeout) {
    co_return TryResult{Outcome::error, result.error().message()};
  }
  switch (handler) {
    case Handler::http:
    case Handler::https:
      co_return TryResult{
          Outcome::failure,
          fmt::format("Get \"{}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)", url)};
    case Handler::tcp:
      co_return TryResult{Outcome::failure, fmt::format("dial tcp {}: i/o timeout", url.substr(7, url.rfind('/') - 7))};
    case Handler::grpc:
      co_return TryResult{Outcome::failure, fmt::format("timeout: health rpc did not complete within {}s",
                                                        limit / std::chrono::seconds(1))};
    case Handler::exec:
      break;
  }
  co_return TryResult{Outcome::failure, "command timed out"};
}

}  // namespace keelson::probes
