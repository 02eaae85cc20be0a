// SPDX-License-Identifier: Apache-2.0
// port_forward.h: one coroutine reads the client's frames, and each forwarded connection has two of its own.
#include "cri/streaming/port_forward.h"

#include <fmt/format.h>

#include "cri/streaming/forward_pairs.h"
#include "cri/streaming/forward_socket.h"

namespace keelson::cri {

namespace {

using namespace asio::experimental::awaitable_operators;

constexpr size_t kMostForwards = 1000;

struct Forward {
  Forward(Loop& loop, ForwardStream s, uint32_t number)
      : stream(std::move(s)), data(number), socket(loop, stream.port) {}
  const ForwardStream stream;
  const uint32_t data;  // stream numbers
  uint32_t error = 0;   // 0: not opened yet, or ended
  ForwardSocket socket;
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

// The server's bytes to the client. Their end is told on both streams: some clients leave only when error has ended.
Task<> send_down(SessionPtr session, ForwardPtr forward) {
  while (true) {
    KEELSON_CO_TRY(const auto bytes, co_await forward->socket.read());
    if (bytes.empty()) {
      KEELSON_CO_DO(co_await session->connection.write(forward->data, "", true));
      co_return co_await end_error(session, forward, "");
    }
    KEELSON_CO_DO(co_await session->connection.write(forward->data, std::string(bytes)));
  }
}

Task<> carry(SessionPtr session, ForwardPtr forward) {
  auto outcome = co_await forward->socket.connect(&session->opener, session->offer);
  if (outcome) {
    auto [down, up] = co_await (send_down(session, forward) && forward->socket.send_queued());
    outcome = down;
  }
  session->forwards.erase(forward->data);
  const bool failed = !outcome && !forward->socket.aborted();
  forward->socket.abort();
  if (failed) {
    session->connection.reset(forward->data, SpdyReset::cancel);
  }
  auto text = failed ? forward_failure(session->offer, forward->stream.port, outcome.error()) : "";
  co_return co_await end_error(session, forward, std::move(text));
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
    found->second->socket.abort();
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
    forward->socket.abort();
    co_return Result<>();
  }
  if (!frame.data.empty()) {
    KEELSON_CO_DO(co_await forward->socket.queue(std::move(frame.data)));
  }
  co_return frame.fin ? co_await forward->socket.queue("") : Result<>();
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
        forward->socket.abort();
      }
    }
  } at_end{session};
  co_await (read_frames(session) || session->connection.lost());
  co_return Result<>();
}

}  // namespace keelson::cri
