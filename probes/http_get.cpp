// SPDX-License-Identifier: Apache-2.0
// http_get.h by Beast.
#include "probes/http_get.h"

#include <fmt/format.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url.hpp>

namespace keelson::probes {

namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using Socket = asio::ip::tcp::socket;

constexpr size_t kMaxBody = 10 * 1024;
constexpr uint32_t kMaxHeader = 60 << 10;  // Go takes 10 MiB; Beast throws at a field above 64 KiB
constexpr int kMaxRedirects = 10;

std::string url_host(const std::string& host) {
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
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

http::request<http::empty_body> make_request(const Target& target, const std::string& agent) {
  http::request<http::empty_body> request(http::verb::get, target.path.empty() ? "/" : target.path, 11);
  bool default_port = target.port == (target.handler == Handler::https ? 443 : 80);
  request.set(http::field::host,
              default_port ? url_host(target.host) : fmt::format("{}:{}", url_host(target.host), target.port));
  request.set(http::field::user_agent, agent);
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

template <class Stream>
Task<HttpAnswer> exchange(Stream* stream, Target target, std::string agent) {
  auto request = make_request(target, agent);
  auto [write_error, written] = co_await http::async_write(*stream, request, use_result);
  if (write_error) {
    co_return fail(Kind::unavailable, "Get \"{}\": {}", url_of(target), error_text(write_error));
  }
  beast::flat_buffer buffer(kMaxHeader + kMaxBody);
  http::response_parser<http::buffer_body> parser;
  parser.header_limit(kMaxHeader);
  parser.body_limit(boost::none);  // it may be of any length: no more is read than is told
  auto [read_error, read] = co_await http::async_read_header(*stream, buffer, parser, use_result);
  if (read_error) {
    co_return fail(Kind::unavailable, "Get \"{}\": {}", url_of(target), error_text(read_error));
  }
  HttpAnswer answer{static_cast<int>(parser.get().result_int()), std::string(parser.get()[http::field::location]), ""};
  if (answer.status >= 300 && answer.status < 400) {
    answer.body.resize(kMaxBody);
    auto& body = parser.get().body();
    body.data = answer.body.data();
    body.size = answer.body.size();
    co_await http::async_read(*stream, buffer, parser, use_result);  // until the end, or until there is no more room
    answer.body.resize(kMaxBody - body.size);
  }
  co_return answer;
}

Task<HttpAnswer> get(Loop* loop, Target target, std::string agent) {
  Socket socket(loop->io());
  if (auto error = co_await connect(&socket, target.host, target.port); error) {
    co_return fail(Kind::unavailable, "Get \"{}\": {}", url_of(target), dial_text(target, error));
  }
  if (target.handler != Handler::https) {
    co_return co_await exchange(&socket, std::move(target), std::move(agent));
  }
  asio::ssl::context context(asio::ssl::context::tls_client);
  context.set_verify_mode(asio::ssl::verify_none);
  asio::ssl::stream<Socket> stream(std::move(socket), context);
  auto [error] = co_await stream.async_handshake(asio::ssl::stream_base::client, use_result);
  if (error) {
    bool plain = error.category() == asio::error::get_ssl_category() &&
                 ERR_GET_REASON(static_cast<unsigned long>(error.value())) == SSL_R_WRONG_VERSION_NUMBER;
    // Go's words; and the kind says that it is worth trying without TLS.
    co_return fail(plain ? Kind::unsupported : Kind::unavailable, "Get \"{}\": {}", url_of(target),
                   plain ? "http: server gave HTTP response to HTTPS client" : error_text(error));
  }
  co_return co_await exchange(&stream, std::move(target), std::move(agent));
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

}  // namespace

std::string url_of(const Target& target) {
  return fmt::format("{}://{}:{}{}", target.handler == Handler::https ? "https" : "http", url_host(target.host),
                     target.port, target.path);
}

std::string dial_text(const Target& target, const boost::system::error_code& error) {
  return fmt::format("dial tcp {}:{}: {}", url_host(target.host), target.port, error_text(error));
}

asio::awaitable<boost::system::error_code> connect(Socket* socket, std::string host, uint16_t port) {
  boost::system::error_code no_address;
  auto address = asio::ip::make_address(host, no_address);
  boost::system::error_code error;
  if (no_address) {
    asio::ip::tcp::resolver resolver(socket->get_executor());
    auto [unknown, found] = co_await resolver.async_resolve(host, std::to_string(port), use_result);
    if (unknown) {
      co_return unknown;
    }
    auto [refused, endpoint] = co_await asio::async_connect(*socket, found, use_result);
    error = refused;
  } else {
    auto [refused] = co_await socket->async_connect({address, port}, use_result);
    error = refused;
  }
  if (!error) {
    // Many short connections: none shall wait in TIME_WAIT on our side for long.
    boost::system::error_code ignored;
    socket->set_option(asio::socket_base::linger(true, 1), ignored);
    socket->set_option(asio::ip::tcp::no_delay(true), ignored);
  }
  co_return error;
}

Task<HttpAnswer> http_get(Loop& loop, Target target, std::string user_agent) {
  for (int hop = 0; hop <= kMaxRedirects; ++hop) {
    KEELSON_CO_TRY(auto answer, co_await get(&loop, target, user_agent));
    bool redirect = answer.status >= 300 && answer.status < 400 && !answer.location.empty();
    auto next = redirect ? redirected(target, answer.location) : std::nullopt;
    if (!next) {
      co_return answer;
    }
    target = *next;
  }
  co_return fail(Kind::unavailable, "Get \"{}\": stopped after {} redirects", url_of(target), kMaxRedirects);
}

}  // namespace keelson::probes
