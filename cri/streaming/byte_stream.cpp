// SPDX-License-Identifier: Apache-2.0
// byte_stream.h.
#include "cri/streaming/byte_stream.h"

#include <boost/asio/write.hpp>

namespace keelson::cri {

namespace {

namespace websocket = boost::beast::websocket;

constexpr size_t kChunk = 32 << 10;
constexpr std::chrono::seconds kCloseTime{1};

class PlainBytes final : public ByteStream {
 public:
  PlainBytes(Loop& loop, keelson::http::Stream socket, std::string already_read, IdleWatch& idle)
      : loop_(loop), socket_(std::move(socket)), first_(std::move(already_read)), idle_(idle) {}

  Task<std::string_view> read() override {
    if (!first_.empty()) {
      buffer_ = std::exchange(first_, {});
      co_return std::string_view(buffer_);
    }
    buffer_.resize(kChunk);
    auto [error, count] = co_await socket_.async_read_some(asio::buffer(buffer_), use_result);
    if (error) {
      co_return fail_asio(error, "read from the client");
    }
    idle_.touch();
    co_return std::string_view(buffer_).substr(0, count);
  }

  Task<> write(std::string bytes) override {
    auto [error, count] = co_await asio::async_write(socket_, asio::buffer(bytes), use_result);
    if (error) {
      co_return fail_asio(error, "write to the client");
    }
    idle_.touch();
    co_return Result<>();
  }

  // Closing with the client's bytes unread would reset the connection, and ours on the way would be lost.
  Task<> close() override {
    auto drained = co_await with_deadline(loop_, kCloseTime, end_and_drain());
    drop();
    co_return !drained && drained.error().kind() == Kind::cancelled ? std::move(drained) : Result<>();
  }

  Task<> lost() override {
    co_await socket_.socket().async_wait(asio::socket_base::wait_error, use_result);
    co_return fail(Kind::unavailable, "the client's connection broke");
  }

  void drop() override {
    boost::system::error_code ignored;
    socket_.socket().close(ignored);
  }

 private:
  Task<> end_and_drain() {
    KEELSON_CO_DO(co_await socket_.end_writing());
    buffer_.resize(kChunk);
    while (true) {
      auto [error, count] = co_await socket_.socket().async_read_some(asio::buffer(buffer_), use_result);
      if (error) {
        co_return fail_asio(error, "read from the client");
      }
    }
  }

  Loop& loop_;
  keelson::http::Stream socket_;
  std::string first_;
  std::string buffer_;
  IdleWatch& idle_;
};

class WebSocketBytes final : public ByteStream {
 public:
  WebSocketBytes(Loop& loop, WebSocket socket, IdleWatch& idle)
      : loop_(loop), socket_(std::move(socket)), buffer_(kChunk, '\0'), idle_(idle) {
    socket_.binary(true);
  }

  Task<std::string_view> read() override {
    while (true) {
      auto [error, count] = co_await socket_.async_read_some(asio::buffer(buffer_), use_result);
      if (error) {
        co_return fail_asio(error, "read from the client");
      }
      if (!socket_.got_binary()) {
        co_return fail(Kind::invalid, "a text message in a tunnel");
      }
      idle_.touch();
      if (count > 0) {
        co_return std::string_view(buffer_).substr(0, count);
      }
    }
  }

  Task<> write(std::string bytes) override {
    auto [error, count] = co_await socket_.async_write(asio::buffer(bytes), use_result);
    if (error) {
      co_return fail_asio(error, "write to the client");
    }
    idle_.touch();
    co_return Result<>();
  }

  Task<> close() override { co_return co_await with_deadline(loop_, kCloseTime, say_goodbye()); }

  Task<> lost() override {
    co_await socket_.next_layer().socket().async_wait(asio::socket_base::wait_error, use_result);
    co_return fail(Kind::unavailable, "the client's connection broke");
  }

  void drop() override {
    boost::system::error_code ignored;
    socket_.next_layer().socket().close(ignored);
  }

 private:
  Task<> say_goodbye() {
    auto [error] = co_await socket_.async_close(websocket::close_code::normal, use_result);
    if (error) {
      co_return fail_asio(error, "close the tunnel");
    }
    co_return Result<>();
  }

  Loop& loop_;
  WebSocket socket_;
  std::string buffer_;
  IdleWatch& idle_;
};

}  // namespace

std::unique_ptr<ByteStream> make_plain_bytes(Loop& loop, keelson::http::Stream socket, std::string already_read,
                                             IdleWatch& idle) {
  return std::make_unique<PlainBytes>(loop, std::move(socket), std::move(already_read), idle);
}

std::unique_ptr<ByteStream> make_websocket_bytes(Loop& loop, WebSocket socket, IdleWatch& idle) {
  return std::make_unique<WebSocketBytes>(loop, std::move(socket), idle);
}

}  // namespace keelson::cri
