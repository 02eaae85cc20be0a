// SPDX-License-Identifier: Apache-2.0
// websocket_forward.h: one coroutine reads the client's messages, and each port has two of its own.
#include "cri/streaming/websocket_forward.h"

#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>

#include "common/base64.h"
#include "cri/streaming/forward_socket.h"

namespace keelson::cri {

namespace {

namespace websocket = boost::beast::websocket;
using namespace asio::experimental::awaitable_operators;

constexpr size_t kMostMessage = 1 << 20;
constexpr std::chrono::seconds kCloseTime{5};
constexpr char kFirstDigit = '0';

struct Port {
  Port(Loop& loop, uint16_t number, size_t index)
      : socket(loop, number), data(static_cast<uint8_t>(2 * index)), error(static_cast<uint8_t>(2 * index + 1)) {}
  ForwardSocket socket;
  const uint8_t data;  // channel numbers
  const uint8_t error;
};

// Shared by the reader and the ports, which outlive it for a moment.
struct Session {
  Session(SessionRoom r, WebSocket s, ForwardOffer o, bool text, IdleWatch& watch)
      : room(r),
        socket(std::move(s)),
        offer(std::move(o)),
        base64(text),
        idle(watch),
        writing(r.loop.io(), 1),
        ended(r.loop.io(), offer.ports.size()) {
    socket.read_message_max(kMostMessage);
    socket.binary(!base64);
    for (const auto number : offer.ports) {
      ports.push_back(std::make_unique<Port>(room.loop, number, ports.size()));
    }
  }
  SessionRoom room;
  WebSocket socket;
  const ForwardOffer offer;
  const bool base64;
  IdleWatch& idle;  // gone with the reader
  bool over = false;
  std::vector<std::unique_ptr<Port>> ports;
  asio::experimental::channel<void(boost::system::error_code)> writing;  // full while a message is on its way
  asio::experimental::channel<void(boost::system::error_code)> ended;    // a port each
  asio::thread_pool opener{1};                                           // open_socket enters another namespace
};
using SessionPtr = std::shared_ptr<Session>;

Task<> send(SessionPtr session, uint8_t channel, std::string data) {
  std::string message(1, static_cast<char>(session->base64 ? kFirstDigit + channel : channel));
  message += session->base64 ? base64_of(data) : data;
  auto [locked] = co_await session->writing.async_send(boost::system::error_code(), use_result);
  if (locked || session->over) {
    co_return fail(Kind::cancelled, "closed");
  }
  auto [error, count] = co_await session->socket.async_write(asio::buffer(message), use_result);
  session->writing.try_receive([](auto) {});
  if (error) {
    co_return fail_asio(error, "write to the client");
  }
  if (!session->over) {
    session->idle.touch();
  }
  co_return Result<>();
}

Task<> send_down(SessionPtr session, Port* port) {
  while (true) {
    KEELSON_CO_TRY(const auto bytes, co_await port->socket.read());
    if (bytes.empty()) {
      co_return Result<>();
    }
    KEELSON_CO_DO(co_await send(session, port->data, std::string(bytes)));
  }
}

// Ends with the port's abort() at the latest.
Task<> send_up(SessionPtr session, Port* port) {
  [[maybe_unused]] const auto ended = co_await port->socket.send_queued();
  co_return Result<>();
}

// The server's end is the end of the port: there is no half close to tell it by.
Task<> exchange(SessionPtr session, Port* port) {
  const auto number = port->socket.port();
  const std::string two{static_cast<char>(number & 0xff), static_cast<char>(number >> 8)};
  KEELSON_CO_DO(co_await send(session, port->data, two));
  KEELSON_CO_DO(co_await send(session, port->error, two));
  KEELSON_CO_DO(co_await port->socket.connect(&session->opener, session->offer));
  session->room.tasks.spawn("forward a port's input", send_up(session, port));
  co_return co_await send_down(session, port);
}

Task<> carry(SessionPtr session, Port* port) {
  const auto outcome = co_await exchange(session, port);
  const bool failed = !outcome && !port->socket.aborted();
  port->socket.abort();
  if (failed) {
    auto text = forward_failure(session->offer, port->socket.port(), outcome.error());
    KEELSON_CO_DO(co_await send(session, port->error, std::move(text)));
  }
  session->ended.try_send(boost::system::error_code());
  co_return Result<>();
}

Task<> take(SessionPtr session, std::string message) {
  const auto first = static_cast<uint8_t>(message[0]);
  const auto channel = static_cast<size_t>(session->base64 ? first - kFirstDigit : first);
  message.erase(0, 1);
  if (session->base64) {
    KEELSON_CO_TRY(message, from_base64(message));
  }
  if (channel % 2 == 0 && channel / 2 < session->ports.size() && !message.empty()) {
    co_return co_await session->ports[channel / 2]->socket.queue(std::move(message));
  }
  co_return Result<>();  // to an error channel, or to none: nobody reads it
}

Task<> read_messages(SessionPtr session) {
  while (true) {
    boost::beast::flat_buffer buffer;
    auto [error, count] = co_await session->socket.async_read(buffer, use_result);
    if (error) {
      co_return fail_asio(error, "read from the client");
    }
    session->idle.touch();
    if (count > 0) {
      KEELSON_CO_DO(co_await take(session, boost::beast::buffers_to_string(buffer.data())));
    }
  }
}

Task<> say_goodbye(SessionPtr session) {
  auto [error] = co_await session->socket.async_close(websocket::close_code::normal, use_result);
  if (error) {
    co_return fail_asio(error, "close the session");
  }
  co_return Result<>();
}

// Ends when every port's server has.
Task<> finish(SessionPtr session) {
  for (size_t left = session->ports.size(); left > 0; --left) {
    auto [closed] = co_await session->ended.async_receive(use_result);
    if (closed) {
      co_return fail_asio(closed, "wait for the servers");
    }
  }
  co_return co_await with_deadline(session->room.loop, kCloseTime, say_goodbye(session));
}

Task<> lost(SessionPtr session) {
  co_await session->socket.next_layer().socket().async_wait(asio::socket_base::wait_error, use_result);
  co_return fail(Kind::unavailable, "the client's connection broke");
}

}  // namespace

Task<> serve_websocket_forward(SessionRoom room, WebSocket socket, ForwardOffer offer, bool base64, IdleWatch& idle) {
  auto session = std::make_shared<Session>(room, std::move(socket), std::move(offer), base64, idle);
  struct AbortAll {
    SessionPtr session;
    ~AbortAll() {
      session->over = true;
      boost::system::error_code ignored;
      session->socket.next_layer().socket().close(ignored);
      for (const auto& port : session->ports) {
        port->socket.abort();
      }
    }
  } at_end{session};
  for (const auto& port : session->ports) {
    room.tasks.spawn("forward a port", carry(session, port.get()));
  }
  co_await (read_messages(session) || finish(session) || lost(session));
  co_return Result<>();
}

}  // namespace keelson::cri
