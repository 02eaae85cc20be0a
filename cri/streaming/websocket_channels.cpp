// SPDX-License-Identifier: Apache-2.0
// websocket_channels.h.
#include "cri/streaming/websocket_channels.h"

#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>

namespace keelson::cri {

namespace {

namespace websocket = boost::beast::websocket;

constexpr size_t kMostMessage = 1 << 20;
constexpr std::chrono::seconds kCloseTime{5};

}  // namespace

WebSocketChannels::WebSocketChannels(Loop& loop, WebSocket socket, AskedStreams asked, bool half_close, IdleWatch& idle)
    : loop_(loop),
      socket_(std::move(socket)),
      asked_(asked),
      half_close_(half_close),
      idle_(idle),
      writing_(loop.io(), 1) {
  socket_.read_message_max(kMostMessage);
  socket_.binary(true);
}

Task<ChannelLine::Message> WebSocketChannels::read() {
  while (true) {
    boost::beast::flat_buffer buffer;
    auto [error, count] = co_await socket_.async_read(buffer, use_result);
    if (error) {
      co_return fail_asio(error, "read from the client");
    }
    idle_.touch();
    if (count == 0) {
      continue;
    }
    auto text = boost::beast::buffers_to_string(buffer.data());
    const auto channel = static_cast<Channel>(static_cast<uint8_t>(text[0]));
    text.erase(0, 1);
    if ((channel == Channel::in || channel == Channel::resize) && !text.empty()) {
      co_return Message{channel, std::move(text)};
    }
    if (channel == Channel::close && half_close_ && text == std::string(1, static_cast<char>(Channel::in))) {
      co_return Message{.channel = Channel::in, .data = {}, .end = true};
    }
  }
}

Task<> WebSocketChannels::write(Channel channel, std::string data) {
  if (channel == Channel::out ? !asked_.out : !asked_.err) {
    co_return Result<>();
  }
  co_return co_await send(channel, std::move(data));
}

Task<> WebSocketChannels::send(Channel channel, std::string data) {
  auto [locked] = co_await writing_.async_send(boost::system::error_code(), use_result);
  if (locked) {
    co_return fail(Kind::cancelled, "closed");
  }
  data.insert(data.begin(), static_cast<char>(channel));
  auto [error, count] = co_await socket_.async_write(asio::buffer(data), use_result);
  writing_.try_receive([](auto) {});
  if (error) {
    co_return fail_asio(error, "write to the client");
  }
  idle_.touch();
  co_return Result<>();
}

Task<> WebSocketChannels::finish(Result<int> ending) {
  KEELSON_CO_DO(co_await send(Channel::error, ending_json(ending)));
  co_return co_await with_deadline(loop_, kCloseTime, say_goodbye());
}

Task<> WebSocketChannels::say_goodbye() {
  auto [error] = co_await socket_.async_close(websocket::close_code::normal, use_result);
  if (error) {
    co_return fail_asio(error, "close the session");
  }
  co_return Result<>();
}

Task<> WebSocketChannels::lost() {
  co_await socket_.next_layer().socket().async_wait(asio::socket_base::wait_error, use_result);
  co_return fail(Kind::unavailable, "the client's connection broke");
}

}  // namespace keelson::cri
