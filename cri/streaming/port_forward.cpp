// SPDX-License-Identifier: Apache-2.0
// port_forward.h: one coroutine reads the client's frames, and each forwarded connection has two of its own.
#include "cri/streaming/port_forward.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <cctype>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include "cri/streaming/forward_pairs.h"

namespace keelson::cri {

namespace {

using asio::ip::tcp;
using namespace asio::experimental::awaitable_operators;

constexpr size_t kChunk = 32 << 10;
constexpr size_t kMostQueued = 8;  // chunks
constexpr size_t kMostForwards = 1000;
constexpr std::chrono::seconds kConnectTime{30};

struct Forward {
  Forward(Loop& loop, ForwardStream s, uint32_t number)
      : stream(std::move(s)), data(number), socket(loop.io()), upward(loop.io(), kMostQueued) {}
  // Ends both directions from outside: their next step fails.
  void abort() {
    aborted = true;
    boost::system::error_code ignored;
    socket.close(ignored);
    upward.close();
  }
  const ForwardStream stream;
  const uint32_t data;  // stream numbers
  uint32_t error = 0;   // 0: not opened yet, or ended
  bool aborted = false;
  tcp::socket socket;
  asio::experimental::channel<void(boost::system::error_code, std::string)> upward;  // an empty text: the end
};

// Shared by the reader and the forwards, which outlive it for a moment.
struct Session {
  Session(SessionRoom r, std::unique_ptr<ByteStream> bytes, ForwardOffer o)
      : room(r), connection(room.loop, std::move(bytes)), offer(std::move(o)) {}
  SessionRoom room;
  SpdyConnection connection;
  const ForwardOffer offer;
  ForwardPairs waiting;
  std::map<uint32_t, std::shared_ptr<Forward>> forwards;  // by data stream
  asio::thread_pool opener{1};                            // open_socket enters another namespace
};
using SessionPtr = std::shared_ptr<Session>;
using ForwardPtr = std::shared_ptr<Forward>;

// The end of the error stream, with a text or without. A forward is never cancelled while it writes, only by abort() in
// between, so each frame on the wire is whole.
Task<> end_error(SessionPtr session, ForwardPtr forward, std::string text) {
  const auto stream = std::exchange(forward->error, 0);
  if (stream == 0) {
    co_return Result<>();
  }
  co_return co_await session->connection.write(stream, std::move(text), true);
}

std::string failure_text(const Session& session, const Forward& forward, const Error& error) {
  return fmt::format(
      "error forwarding port {} to pod {}, uid : failed to execute portforward in network namespace \"{}\": {}",
      forward.stream.port, session.offer.sandbox, session.offer.netns, error.message());
}

Task<> connect_to(Forward* forward, Fd fd, tcp::endpoint to) {
  if (forward->aborted) {
    co_return fail(Kind::cancelled, "closed");
  }
  boost::system::error_code error;
  forward->socket.assign(to.protocol(), fd.release(), error);
  if (!error) {
    auto [failed] = co_await forward->socket.async_connect(to, use_result);
    error = failed;
  }
  boost::system::error_code ignored;
  forward->socket.set_option(tcp::no_delay(true), ignored);
  if (error) {
    forward->socket.close(ignored);
    auto text = error.message();
    text[0] = static_cast<char>(std::tolower(text[0]));
    co_return fail(Kind::unavailable, "connect: {}", text);
  }
  co_return Result<>();
}

Task<> connect_family(SessionPtr session, ForwardPtr forward, bool v6) {
  // A copy: were the session destroyed on its own opener's thread, that would wait for itself.
  auto open = [open = session->offer.open_socket, v6] { return open(v6 ? AF_INET6 : AF_INET); };
  auto fd = co_await blocking(session->opener, std::move(open));
  if (!fd) {
    co_return std::unexpected(fd.error());
  }
  const auto address =
      v6 ? asio::ip::address(asio::ip::address_v6::loopback()) : asio::ip::address(asio::ip::address_v4::loopback());
  auto connecting = connect_to(forward.get(), std::move(*fd), tcp::endpoint(address, forward->stream.port));
  co_return co_await with_deadline(session->room.loop, kConnectTime, std::move(connecting));
}

Task<> connect(SessionPtr session, ForwardPtr forward) {
  const auto v4 = co_await connect_family(session, forward, false);
  if (v4) {
    co_return Result<>();
  }
  if (forward->aborted) {
    co_return fail(Kind::cancelled, "closed");
  }
  const auto v6 = co_await connect_family(session, forward, true);
  if (v6) {
    co_return Result<>();
  }
  const auto port = forward->stream.port;
  co_return fail(
      Kind::unavailable,
      "failed to connect to localhost:{} inside namespace \"{}\", IPv4: dial tcp4 127.0.0.1:{}: {} IPv6 dial "
      "tcp6 [::1]:{}: {}",
      port, session->offer.sandbox, port, v4.error().message(), port, v6.error().message());
}

// The client's bytes to the server.
Task<> send_up(ForwardPtr forward) {
  while (true) {
    auto [closed, data] = co_await forward->upward.async_receive(use_result);
    if (closed) {
      co_return fail(Kind::cancelled, "closed");
    }
    boost::system::error_code error;
    if (data.empty()) {
      forward->socket.shutdown(tcp::socket::shutdown_send, error);
      co_return Result<>();
    }
    auto [failed, count] = co_await asio::async_write(forward->socket, asio::buffer(data), use_result);
    if (failed) {
      forward->upward.close();  // what else comes is dropped
      co_return fail_asio(failed, "write");
    }
  }
}

// The server's bytes to the client. Their end is told on both streams: some clients leave only when error has ended.
Task<> send_down(SessionPtr session, ForwardPtr forward) {
  std::string buffer(kChunk, '\0');
  while (true) {
    auto [error, count] = co_await forward->socket.async_read_some(asio::buffer(buffer), use_result);
    if (error == asio::error::eof) {
      KEELSON_CO_DO(co_await session->connection.write(forward->data, "", true));
      co_return co_await end_error(session, forward, "");
    }
    if (error) {
      forward->upward.close();
      co_return fail_asio(error, "read");
    }
    KEELSON_CO_DO(co_await session->connection.write(forward->data, buffer.substr(0, count)));
  }
}

Task<> carry(SessionPtr session, ForwardPtr forward) {
  auto outcome = co_await connect(session, forward);
  if (outcome) {
    auto [down, up] = co_await (send_down(session, forward) && send_up(forward));
    outcome = down;
  }
  session->forwards.erase(forward->data);
  const bool failed = !outcome && !forward->aborted;
  forward->abort();
  if (failed) {
    session->connection.reset(forward->data, SpdyReset::cancel);
  }
  co_return co_await end_error(session, forward, failed ? failure_text(*session, *forward, outcome.error()) : "");
}

// A half pair whose other half does not come.
Task<> expire(SessionRoom room, std::weak_ptr<Session> held, std::string request, uint32_t number) {
  KEELSON_CO_DO(co_await room.loop.sleep(room.times.creation));
  const auto session = held.lock();
  const auto* pair = session ? session->waiting.find(request) : nullptr;
  if (pair == nullptr || (pair->error != number && pair->data != number)) {
    co_return Result<>();
  }
  const auto half = *session->waiting.expire(request);
  if (const auto found = session->forwards.find(half.data); found != session->forwards.end()) {
    session->connection.reset(half.data, SpdyReset::cancel);
    found->second->abort();
    session->forwards.erase(found);
  }
  if (half.error == 0) {
    co_return Result<>();
  }
  co_return co_await session->connection.write(half.error, "timed out waiting for streams", true);
}

Task<> refuse(SessionPtr session, uint32_t number, std::string request, std::string why) {
  session->connection.reset(number, SpdyReset::cancel);
  const auto* pair = session->waiting.find(request);
  if (pair == nullptr || pair->error == 0) {
    co_return Result<>();
  }
  auto text = fmt::format("error processing stream for request {}: {}", request, why);
  co_return co_await session->connection.write(pair->error, std::move(text));
}

Task<> open_stream(SessionPtr session, SpdyFrame frame) {
  const auto stream = forward_stream_of(frame);
  if (!stream || session->forwards.size() + session->waiting.count() >= kMostForwards) {
    session->connection.reset(frame.id, stream ? SpdyReset::refused : SpdyReset::cancel);
    co_return Result<>();
  }
  const auto pair = session->waiting.add(*stream, frame.id);
  if (!pair) {
    co_return co_await refuse(session, frame.id, stream->request, pair.error().message());
  }
  session->connection.reply(frame.id);
  if (stream->data) {
    session->forwards.emplace(frame.id, std::make_shared<Forward>(session->room.loop, *stream, frame.id));
  }
  if (!*pair) {
    session->room.tasks.spawn("expire a forward", expire(session->room, session, stream->request, frame.id));
    co_return Result<>();
  }
  const auto forward = session->forwards.at((*pair)->data);
  forward->error = (*pair)->error;
  session->room.tasks.spawn("forward a connection", carry(session, forward));
  co_return Result<>();
}

Task<> take(SessionPtr session, SpdyFrame frame) {
  if (frame.type == SpdyType::syn_stream) {
    const bool fin = frame.fin;
    const auto id = frame.id;
    KEELSON_CO_DO(co_await open_stream(session, std::move(frame)));
    frame = SpdyFrame{.type = SpdyType::data, .id = id, .fin = fin, .status = 0, .headers = {}, .data = {}};
  }
  const auto found = session->forwards.find(frame.id);
  if (found == session->forwards.end()) {
    co_return Result<>();  // error streams, and what has ended
  }
  const auto forward = found->second;
  if (frame.type == SpdyType::rst_stream) {
    forward->abort();
    co_return Result<>();
  }
  // Fails when the server takes no more; then it is dropped.
  if (!frame.data.empty()) {
    co_await forward->upward.async_send(boost::system::error_code(), std::move(frame.data), use_result);
  }
  if (frame.fin) {
    co_await forward->upward.async_send(boost::system::error_code(), std::string(), use_result);
  }
  co_return Result<>();
}

Task<> read_frames(SessionPtr session) {
  while (true) {
    KEELSON_CO_TRY(auto frame, co_await session->connection.next());
    KEELSON_CO_DO(co_await take(session, std::move(frame)));
  }
}

}  // namespace

Task<> serve_port_forward(SessionRoom room, std::unique_ptr<ByteStream> bytes, ForwardOffer offer) {
  auto session = std::make_shared<Session>(room, std::move(bytes), std::move(offer));
  struct AbortAll {
    SessionPtr session;
    ~AbortAll() {
      session->connection.drop();
      for (const auto& [stream, forward] : session->forwards) {
        forward->abort();
      }
    }
  } at_end{session};
  co_await (read_frames(session) || session->connection.lost());
  co_return Result<>();
}

}  // namespace keelson::cri
