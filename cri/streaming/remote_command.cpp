// SPDX-License-Identifier: Apache-2.0
// remote_command.h.
#include "cri/streaming/remote_command.h"

#include <boost/asio/write.hpp>

namespace keelson::cri {

namespace {

using namespace std::chrono_literals;
using namespace asio::experimental::awaitable_operators;

constexpr size_t kChunk = 32 << 10;
constexpr size_t kMostInput = 8;       // messages that wait for the process to read
constexpr auto kDrainTime = 1s;        // for output after the exit, when a grandchild keeps the pipe open
constexpr size_t kMostHeld = 1 << 20;  // what a pipe can hold at most, by the kernel's own limit

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

RemoteCommand::RemoteCommand(Loop& loop, asio::thread_pool& waiter, ChannelLine& line, StreamSession session)
    : loop_(loop),
      waiter_(waiter),
      line_(line),
      session_(std::make_shared<StreamSession>(std::move(session))),
      in_(loop.io()),
      out_(loop.io()),
      err_(loop.io()),
      pumped_(loop.io(), 1),
      input_(loop.io(), kMostInput) {
  adopt(in_, session_->in);
  adopt(out_, session_->out);
  adopt(err_, session_->err);
}

Task<> RemoteCommand::run() {
  // Whatever ends us before the command has: a lost client, a broken write, the server's own end, even an exception.
  struct HangUp {
    RemoteCommand* command;
    ~HangUp() {
      if (!command->ended_) {
        command->session_->hang_up();
      }
    }
  } unless_ended{this};
  co_await (finish() || read_client() || feed_input() || line_.lost());
  co_return Result<>();
}

Task<> RemoteCommand::finish() {
  auto [pumped, code] = co_await (pump_both() && wait_exit());
  if (!code && code.error().kind() == Kind::cancelled) {
    co_return std::unexpected(code.error());
  }
  ended_ = true;
  co_return co_await line_.finish(std::move(code));
}

Task<int> RemoteCommand::wait_exit() {
  auto code = co_await blocking(waiter_, [session = session_] { return session->wait(); });
  if (!code && code.error().kind() == Kind::cancelled) {
    co_return code;
  }
  const auto first = co_await (loop_.sleep(kDrainTime) || pumped_.async_receive(use_result));
  if (first.index() == 0 && std::get<0>(first)) {
    end_output();
  }
  co_return code;
}

// Nobody waits for more to be written. A client that is slow still gets what the process has left.
void RemoteCommand::end_output() {
  overdue_ = true;
  boost::system::error_code ignored;
  out_.cancel(ignored);
  err_.cancel(ignored);
}

Task<> RemoteCommand::pump_both() {
  auto [out, err] = co_await (pump(&out_, Channel::out) && pump(&err_, Channel::err));
  pumped_.try_send(boost::system::error_code());
  co_return out ? err : out;
}

Task<> RemoteCommand::pump(Descriptor* from, Channel channel) {
  std::string buffer(kChunk, '\0');
  while (from->is_open() && !overdue_) {
    auto [error, count] = co_await from->async_read_some(asio::buffer(buffer), use_result);
    if (error == asio::error::operation_aborted && overdue_) {
      break;
    }
    if (error || count == 0) {  // a terminal's master answers EIO when the last process has left
      co_return Result<>();
    }
    KEELSON_CO_DO(co_await line_.write(channel, buffer.substr(0, count)));
  }
  co_return co_await pump_rest(from, channel);
}

// What was there at the end, and no more: a process that was left behind may write for ever.
Task<> RemoteCommand::pump_rest(Descriptor* from, Channel channel) {
  boost::system::error_code error;
  from->non_blocking(true, error);
  std::string buffer(kChunk, '\0');
  for (size_t told = 0; !error && told < kMostHeld;) {
    const auto count = from->read_some(asio::buffer(buffer), error);
    told += count;
    if (count > 0) {
      KEELSON_CO_DO(co_await line_.write(channel, buffer.substr(0, count)));
    }
  }
  co_return Result<>();
}

Task<> RemoteCommand::read_client() {
  while (true) {
    KEELSON_CO_TRY(auto message, co_await line_.read());
    if (message.channel == Channel::resize) {
      resize(message.data);
      continue;
    }
    if (!message.data.empty()) {
      co_await input_.async_send(boost::system::error_code(), std::move(message.data), use_result);
    }
    if (message.end) {
      co_await input_.async_send(boost::system::error_code(), std::string(), use_result);
    }
  }
}

void RemoteCommand::resize(const std::string& text) {
  const auto size = parse_resize(text);
  if (size && session_->resize) {
    // The terminal may be gone just now, with the process; its output and exit code still come.
    [[maybe_unused]] const auto resized = session_->resize(*size);
  }
}

// Goes on after the process has closed its stdin: what else comes is dropped, so that the reader is never held up.
Task<> RemoteCommand::feed_input() {
  while (true) {
    auto [error, data] = co_await input_.async_receive(use_result);
    if (error) {
      co_return fail_asio(error, "wait for input");
    }
    if (in_.is_open() && !data.empty()) {
      auto [failed, count] = co_await asio::async_write(in_, asio::buffer(data), use_result);
      if (!failed) {
        continue;
      }
    }
    close(in_);
  }
}

}  // namespace keelson::cri
