// SPDX-License-Identifier: Apache-2.0
// remote_command.h.
#include "cri/streaming/remote_command.h"

#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>

namespace keelson::cri {

namespace {

namespace websocket = boost::beast::websocket;
using namespace std::chrono_literals;
using namespace asio::experimental::awaitable_operators;

constexpr size_t kChunk = 32 << 10;
constexpr auto kDrainTime = 1s;  // for output after the exit, when a grandchild keeps the pipe open

void adopt(asio::posix::stream_descriptor& to, Fd& from) {
  if (from) {
    boost::system::error_code ignored;
    to.assign(from.release(), ignored);
  }
}

void close(asio::posix::stream_descriptor& descriptor) {
  boost::system::error_code ignored;
  descriptor.close(ignored);
}

}  // namespace

RemoteCommand::RemoteCommand(Loop& loop, asio::thread_pool& waiter, WebSocket& socket, StreamSession session,
                             bool half_close)
    : waiter_(waiter),
      socket_(socket),
      session_(std::make_shared<StreamSession>(std::move(session))),
      half_close_(half_close),
      in_(loop.io()),
      out_(loop.io()),
      err_(loop.io()),
      drain_(loop.io()),
      writing_(loop.io(), 1) {
  adopt(in_, session_->in);
  adopt(out_, session_->out);
  adopt(err_, session_->err);
}

Task<> RemoteCommand::run() {
  // Whatever ends us before the command has: a lost client, a broken write, the server's own end, even an exception.
  struct HangUp {
    StreamSession* session;
    ~HangUp() {
      if (session != nullptr) {
        session->hang_up();
      }
    }
  } unless_finished{session_.get()};
  const auto outcome = co_await (finish() || read_client());
  if (outcome.index() == 0 && std::get<0>(outcome)) {
    unless_finished.session = nullptr;
  }
  co_return Result<>();
}

Task<> RemoteCommand::finish() {
  auto [pumped, code] = co_await (pump_both() && wait_exit());
  drain_.cancel();
  if (!code && code.error().kind() == Kind::cancelled) {
    co_return std::unexpected(code.error());
  }
  KEELSON_CO_DO(co_await send(Channel::error, code ? exit_status_json(*code) : failure_json(code.error().message())));
  auto [error] = co_await socket_.async_close(websocket::close_code::normal, use_result);
  if (error) {
    co_return fail_asio(error, "close the session");
  }
  co_return Result<>();
}

Task<int> RemoteCommand::wait_exit() {
  auto code = co_await blocking(waiter_, [session = session_] { return session->wait(); });
  drain_.expires_after(kDrainTime);
  drain_.async_wait([this](boost::system::error_code error) {
    if (!error) {
      close_output();
    }
  });
  co_return code;
}

void RemoteCommand::close_output() {
  close(out_);
  close(err_);
}

Task<> RemoteCommand::pump_both() {
  auto [out, err] = co_await (pump(&out_, Channel::out) && pump(&err_, Channel::err));
  co_return out ? err : out;
}

Task<> RemoteCommand::pump(Descriptor* from, Channel channel) {
  std::string buffer(kChunk, '\0');
  while (from->is_open()) {
    auto [error, count] = co_await from->async_read_some(asio::buffer(buffer), use_result);
    if (error || count == 0) {  // a terminal's master answers EIO when the last process has left
      break;
    }
    KEELSON_CO_DO(co_await send(channel, buffer.substr(0, count)));
  }
  co_return Result<>();
}

Task<> RemoteCommand::send(Channel channel, std::string data) {
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
  co_return Result<>();
}

Task<> RemoteCommand::read_client() {
  while (true) {
    boost::beast::flat_buffer buffer;
    auto [error, count] = co_await socket_.async_read(buffer, use_result);
    if (error) {
      co_return fail_asio(error, "read from the client");
    }
    if (count > 0) {
      KEELSON_CO_DO(co_await take(boost::beast::buffers_to_string(buffer.data())));
    }
  }
}

Task<> RemoteCommand::take(std::string message) {
  const auto channel = static_cast<Channel>(static_cast<uint8_t>(message[0]));
  message.erase(0, 1);
  if (channel == Channel::in && in_.is_open()) {
    auto [error, count] = co_await asio::async_write(in_, asio::buffer(message), use_result);
    if (error) {
      close(in_);  // the process closed its stdin: what else comes is dropped
    }
  } else if (channel == Channel::resize && session_->resize) {
    if (const auto size = parse_resize(message)) {
      KEELSON_CO_DO(session_->resize(*size));
    }
  } else if (channel == Channel::close && half_close_ && message == std::string(1, '\0')) {
    close(in_);
  }
  co_return Result<>();
}

}  // namespace keelson::cri
