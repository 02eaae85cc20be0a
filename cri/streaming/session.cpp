// SPDX-License-Identifier: Apache-2.0
// From an accepted connection to a running session: the HTTP request, its ticket, the upgrade to either framing.
#include "cri/streaming/session.h"

#include <exception>

#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include "cri/streaming/port_forward.h"
#include "cri/streaming/remote_command.h"
#include "cri/streaming/spdy_channels.h"
#include "cri/streaming/upgrade.h"
#include "cri/streaming/websocket_channels.h"
#include "cri/streaming/websocket_forward.h"

namespace keelson::cri {

namespace {

namespace beast = boost::beast;
namespace websocket = beast::websocket;

/// A connection whose request has been read.
struct Arrived {
  SessionRoom room;
  keelson::http::Stream socket;
  Request request;
  std::string behind;  // bytes that came after the request
};

/// Over TLS, after the handshake; the caller's deadline is on both.
Task<Request> read_request(keelson::http::Stream* socket, beast::flat_buffer* buffer) {
  KEELSON_CO_DO(co_await socket->accept_tls());
  Request request;
  auto [error, count] = co_await http::async_read(*socket, *buffer, request, use_result);
  if (error) {
    co_return fail_asio(error, "read a streaming request");
  }
  co_return request;
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

Task<> run_command(Loop* loop, asio::thread_pool* waiter, ChannelLine* line, OpenSession open) {
  auto work = [open = std::move(open)]() -> Result<std::shared_ptr<Opened>> {
    auto opened = std::make_shared<Opened>();
    KEELSON_TRY(opened->session, open());
    return opened;
  };
  auto session = co_await blocking(*waiter, std::move(work));
  if (!session) {
    KEELSON_CO_DO(co_await line->finish(std::unexpected(session.error())));
    co_return std::unexpected(session.error());
  }
  RemoteCommand command(*loop, *waiter, *line, *std::exchange((*session)->session, std::nullopt));
  co_return co_await command.run();
}

Task<> serve_command(Loop* loop, ChannelLine* line, OpenSession open) {
  asio::thread_pool waiter(1);
  Result<> served;
  std::exception_ptr thrown;
  try {
    served = co_await run_command(loop, &waiter, line, std::move(open));
  } catch (...) {
    thrown = std::current_exception();
  }
  // A process that was hung up on may take its time to end. The pool's destructor would wait for it too, but hold up
  // every other session meanwhile.
  co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
  [[maybe_unused]] const auto ended = co_await blocking(waiter, [] { return Result<>(); });
  if (thrown) {
    std::rethrow_exception(thrown);
  }
  co_return served;
}

/// Runs a session until it ends, or has been idle for too long.
Task<> until_idle(IdleWatch* idle, Task<> session) {
  using namespace asio::experimental::awaitable_operators;
  co_await (std::move(session) || idle->expire());
  co_return Result<>();
}

Task<> spdy_command(Arrived* arrived, CommandOffer offer, int version) {
  auto& room = arrived->room;
  IdleWatch idle(room.loop, room.times.idle);
  SpdyChannels line(room.loop,
                    make_plain_bytes(room.loop, std::move(arrived->socket), std::move(arrived->behind), idle),
                    offer.asked, version);
  KEELSON_CO_DO(co_await with_deadline(room.loop, room.times.creation, line.gather()));
  co_return co_await until_idle(&idle, serve_command(&room.loop, &line, std::move(offer.open)));
}

Task<> serve_spdy(Arrived* arrived, Offer offer) {
  const bool forwards = std::holds_alternative<ForwardOffer>(offer);
  const auto protocol = choose_spdy_protocol(arrived->request, forwards);
  if (!protocol) {
    co_return co_await send_refusal(&arrived->socket, refuse_spdy(arrived->request, forwards));
  }
  KEELSON_CO_DO(co_await send_response(&arrived->socket, accept_spdy(*protocol)));
  if (!forwards) {
    co_return co_await spdy_command(arrived, std::get<CommandOffer>(std::move(offer)),
                                    *spdy_protocol_version(*protocol));
  }
  IdleWatch idle(arrived->room.loop, arrived->room.times.idle);
  auto bytes = make_plain_bytes(arrived->room.loop, std::move(arrived->socket), std::move(arrived->behind), idle);
  auto serving = serve_port_forward(arrived->room, std::move(bytes), std::get<ForwardOffer>(std::move(offer)));
  co_return co_await until_idle(&idle, std::move(serving));
}

/// Over SPDY in a tunnel, or as channels.
Task<> websocket_forward(Arrived* arrived, WebSocket stream, ForwardOffer offer, std::string protocol) {
  auto& room = arrived->room;
  IdleWatch idle(room.loop, room.times.idle);
  if (protocol != kForwardTunnel) {
    const bool base64 = protocol == kForwardBase64;
    auto serving = serve_websocket_forward(room, std::move(stream), std::move(offer), base64, idle);
    co_return co_await until_idle(&idle, std::move(serving));
  }
  auto serving = serve_port_forward(room, make_websocket_bytes(room.loop, std::move(stream), idle), std::move(offer));
  co_return co_await until_idle(&idle, std::move(serving));
}

/// Fills in the ports that the client asks for, if they are its to name.
Result<> name_ports(const Request& request, ForwardOffer& offer) {
  if (offer.ports.empty()) {
    KEELSON_TRY(offer.ports, ports_of(request));
  }
  if (offer.ports.size() > kMostWebSocketPorts) {
    return fail(Kind::invalid, "{} ports; at most {} go over one WebSocket", offer.ports.size(), kMostWebSocketPorts);
  }
  return {};
}

Task<> serve_websocket(Arrived* arrived, Offer offer) {
  auto* forward = std::get_if<ForwardOffer>(&offer);
  const auto protocol = choose_websocket_protocol(arrived->request, forward != nullptr);
  if (!protocol) {
    co_return co_await send_refusal(&arrived->socket, refuse_websocket(forward != nullptr));
  }
  if (forward != nullptr && *protocol != kForwardTunnel) {
    if (const auto named = name_ports(arrived->request, *forward); !named) {
      co_return co_await send_refusal(&arrived->socket, refuse_question(named.error()));
    }
  }
  WebSocket stream(std::move(arrived->socket));
  stream.set_option(websocket::stream_base::decorator([protocol](websocket::response_type& response) {
    if (!protocol->empty()) {
      response.set(http::field::sec_websocket_protocol, beast::string_view(protocol->data(), protocol->size()));
    }
  }));
  auto [error] = co_await stream.async_accept(arrived->request, use_result);
  if (error) {
    co_return fail_asio(error, "accept a WebSocket");
  }
  if (forward != nullptr) {
    co_return co_await websocket_forward(arrived, std::move(stream), std::move(*forward), *protocol);
  }
  auto& room = arrived->room;
  IdleWatch idle(room.loop, room.times.idle);
  auto& command = std::get<CommandOffer>(offer);
  WebSocketChannels line(room.loop, std::move(stream), command.asked, *protocol == kProtocolV5, idle);
  co_return co_await until_idle(&idle, serve_command(&room.loop, &line, std::move(command.open)));
}

}  // namespace

Task<> serve_connection(SessionRoom room, keelson::http::Stream socket) {
  beast::flat_buffer buffer;
  std::optional<keelson::http::Waiting::Place> place(std::in_place, room.waiting, socket);
  KEELSON_CO_TRY(auto request, co_await with_deadline(room.loop, room.times.request, read_request(&socket, &buffer)));
  place.reset();
  Arrived arrived{room, std::move(socket), std::move(request), beast::buffers_to_string(buffer.data())};
  const auto way = upgrade_of(arrived.request);
  if (way == Upgrade::none) {
    co_return co_await send_refusal(&arrived.socket, refuse_plain());
  }
  auto offer = room.tokens.take(token_of(arrived.request), std::chrono::steady_clock::now());
  if (!offer) {
    co_return co_await send_refusal(&arrived.socket, refuse_token());
  }
  if (way == Upgrade::spdy) {
    co_return co_await serve_spdy(&arrived, std::move(*offer));
  }
  co_return co_await serve_websocket(&arrived, std::move(*offer));
}

}  // namespace keelson::cri
