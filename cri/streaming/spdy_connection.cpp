// SPDX-License-Identifier: Apache-2.0
// spdy_connection.h.
#include "cri/streaming/spdy_connection.h"

namespace keelson::cri {

namespace {

constexpr size_t kMostQueued = 64 << 10;

}  // namespace

SpdyConnection::SpdyConnection(Loop& loop, std::unique_ptr<ByteStream> bytes)
    : bytes_(std::move(bytes)), writing_(loop.io(), 1) {}

Task<SpdyFrame> SpdyConnection::next() {
  while (true) {
    KEELSON_CO_TRY(auto frame, parser_.next());
    if (!frame) {
      KEELSON_CO_DO(co_await write_queued(false));
      KEELSON_CO_TRY(const auto bytes, co_await bytes_->read());
      parser_.feed(bytes);
      continue;
    }
    if (queued_control_ > kMostQueued) {
      co_return fail(Kind::exhausted, "the client does not read what it asks for");
    }
    switch (frame->type) {
      case SpdyType::syn_stream:
        if (frame->id % 2 == 0 || frame->id <= last_stream_) {
          co_return fail(Kind::invalid, "SPDY stream {} opened after {}", frame->id, last_stream_);
        }
        last_stream_ = frame->id;
        co_return std::move(*frame);
      case SpdyType::data:
      case SpdyType::rst_stream:
        co_return std::move(*frame);
      case SpdyType::go_away:
        co_return fail(Kind::cancelled, "the client has left");
      case SpdyType::ping:
        if (frame->id % 2 == 1) {  // even: the answer to a ping of ours, and we send none
          queue_control(SpdyWriter::ping(frame->id));
        }
        break;
      default:
        break;
    }
  }
}

void SpdyConnection::queue_control(std::string frame) {
  queue_ += frame;
  queued_control_ += frame.size();
}

void SpdyConnection::reply(uint32_t stream) {
  queue_control(writer_.syn_reply(stream));
}

void SpdyConnection::reset(uint32_t stream, SpdyReset why) {
  queue_control(SpdyWriter::rst_stream(stream, why));
}

Task<> SpdyConnection::write(uint32_t stream, std::string bytes, bool fin) {
  queue_ += SpdyWriter::data(stream, bytes, fin);
  co_return co_await write_queued(true);
}

// Whoever holds the lock writes what has been queued in the meantime, too, so that none is left behind.
Task<> SpdyConnection::write_queued(bool wait) {
  if (queue_.empty()) {
    co_return Result<>();
  }
  if (!writing_.try_send(boost::system::error_code())) {
    if (!wait) {
      co_return Result<>();
    }
    auto [locked] = co_await writing_.async_send(boost::system::error_code(), use_result);
    if (locked) {
      co_return fail(Kind::cancelled, "closed");
    }
  }
  Result<> written;
  while (written && !queue_.empty()) {
    queued_control_ = 0;
    written = co_await bytes_->write(std::exchange(queue_, {}));
  }
  writing_.try_receive([](auto) {});
  co_return written;
}

Task<> SpdyConnection::close() {
  queue_ += SpdyWriter::go_away(last_stream_);
  KEELSON_CO_DO(co_await write_queued(true));
  co_return co_await bytes_->close();
}

}  // namespace keelson::cri
