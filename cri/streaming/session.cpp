// SPDX-License-Identifier: Apache-2.0
// From an accepted connection to a running session: the HTTP request, its ticket, the upgrade.
#include "cri/streaming/session.h"

#include <boost/beast/http.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include "cri/streaming/remote_command.h"

namespace keelson::cri {

namespace {

namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using Request = http::request<http::empty_body>;

constexpr std::chrono::seconds kRequestTime{10};
constexpr size_t kMostMessage = 1 << 20;

struct Refusal {
  http::status status;
  std::string text;
};

Task<Request> read_request(asio::ip::tcp::socket* socket, beast::flat_buffer* buffer) {
  Request request;
  auto [error, count] = co_await http::async_read(*socket, *buffer, request, use_result);
  if (error) {
    co_return fail_asio(error, "read a streaming request");
  }
  co_return request;
}

Task<> refuse(asio::ip::tcp::socket* socket, Refusal refusal) {
  http::response<http::string_body> response(refusal.status, 11);
  response.set(http::field::content_type, "text/plain; charset=utf-8");
  response.body() = refusal.text + "\n";
  response.prepare_payload();
  response.keep_alive(false);
  co_await http::async_write(*socket, response, use_result);
  co_return fail(Kind::invalid, "refused: {}", refusal.text);
}

std::optional<Refusal> refusal_of(const Request& request) {
  if (websocket::is_upgrade(request)) {
    if (!choose_protocol(std::string_view(request[http::field::sec_websocket_protocol]))) {
      return Refusal{http::status::bad_request,
                     fmt::format("no common subprotocol: offer {} or {}", kProtocolV5, kProtocolV4)};
    }
    return std::nullopt;
  }
  if (beast::iequals(request[http::field::upgrade], "SPDY/3.1")) {
    return Refusal{http::status::not_implemented,
                   "SPDY is not served: connect by WebSocket (crictl --transport websocket)"};
  }
  return Refusal{http::status::bad_request, "not a WebSocket upgrade"};
}

// The last part of "/exec/<token>".
std::string token_of(const Request& request) {
  const std::string target(request.target());
  return target.substr(target.rfind('/') + 1);
}

/// A session that nobody has taken yet: if the caller is gone when it opens, its command must not run on unattended.
struct Opened {
  std::optional<StreamSession> session;
  ~Opened() {
    if (session) {
      session->hang_up();
    }
  }
};

Task<> serve_session(Loop* loop, WebSocket* socket, OpenSession open, bool half_close) {
  asio::thread_pool waiter(1);
  auto work = [open = std::move(open)]() -> Result<std::shared_ptr<Opened>> {
    auto opened = std::make_shared<Opened>();
    KEELSON_TRY(opened->session, open());
    return opened;
  };
  auto session = co_await blocking(waiter, std::move(work));
  if (!session) {
    std::string message(1, static_cast<char>(Channel::error));
    message += failure_json(session.error().message());
    co_await socket->async_write(asio::buffer(message), use_result);
    co_await socket->async_close(websocket::close_code::normal, use_result);
    co_return std::unexpected(session.error());
  }
  RemoteCommand command(*loop, waiter, *socket, *std::exchange((*session)->session, std::nullopt), half_close);
  co_return co_await command.run();
}

}  // namespace

Task<> serve_connection(Loop& loop, Tokens& tokens, asio::ip::tcp::socket socket) {
  beast::flat_buffer buffer;
  KEELSON_CO_TRY(const auto request, co_await with_deadline(loop, kRequestTime, read_request(&socket, &buffer)));
  if (auto refusal = refusal_of(request)) {
    co_return co_await refuse(&socket, std::move(*refusal));
  }
  auto open = tokens.take(token_of(request), std::chrono::steady_clock::now());
  if (!open) {
    co_return co_await refuse(&socket, {http::status::not_found, "this URL was used, is too old, or never was"});
  }
  const auto protocol = *choose_protocol(std::string_view(request[http::field::sec_websocket_protocol]));
  WebSocket stream(std::move(socket));
  stream.set_option(websocket::stream_base::decorator([protocol](websocket::response_type& response) {
    response.set(http::field::sec_websocket_protocol, beast::string_view(protocol.data(), protocol.size()));
  }));
  stream.read_message_max(kMostMessage);
  stream.binary(true);
  auto [error] = co_await stream.async_accept(request, use_result);
  if (error) {
    co_return fail_asio(error, "accept a WebSocket");
  }
  co_return co_await serve_session(&loop, &stream, std::move(*open), protocol == kProtocolV5);
}

}  // namespace keelson::cri
