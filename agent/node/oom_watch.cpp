// SPDX-License-Identifier: Apache-2.0
#include "agent/node/oom_watch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>

#include <boost/asio/posix/stream_descriptor.hpp>

#include "common/fd.h"

namespace keelson::agent {

namespace {

/// "Killed process 4711 (postgres), UID 999, ...": nullopt if it is another message.
std::optional<OomVictim> victim_of(std::string_view message) {
  constexpr std::string_view kKilled = "Killed process ";
  const size_t at = message.find(kKilled);
  if (at == message.npos) {
    return std::nullopt;
  }
  const std::string_view rest = message.substr(at + kKilled.size());
  OomVictim victim;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), victim.pid);
  const size_t open = rest.find('(');
  const size_t close = rest.find(')', open == rest.npos ? 0 : open);
  if (error != std::errc() || open == rest.npos || close == rest.npos) {
    return std::nullopt;
  }
  victim.process = rest.substr(open + 1, close - open - 1);
  return victim;
}

}  // namespace

std::optional<OomVictim> OomMessages::next(std::string_view message) {
  if (message.find("invoked oom-killer:") != message.npos) {
    began_ = true;
    of_a_cgroup_ = false;
    return std::nullopt;
  }
  if (!began_) {
    return std::nullopt;
  }
  // Kernels since 5.0; and those before.
  if (message.find("oom_memcg=") != message.npos || message.find(" killed as a result of limit of ") != message.npos) {
    of_a_cgroup_ = true;
  }
  auto victim = victim_of(message);
  if (victim) {
    began_ = false;
  }
  return of_a_cgroup_ ? std::nullopt : victim;
}

Task<> watch_ooms(std::function<void(const OomVictim&)> tell) {
  Fd log(::open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!log) {
    co_return fail_errno(errno, "open /dev/kmsg");
  }
  ::lseek(log.get(), 0, SEEK_END);
  asio::posix::stream_descriptor source(co_await asio::this_coro::executor, log.release());
  OomMessages messages;
  std::array<char, 8192> record{};  // one at each read; it is never longer
  while (true) {
    const ssize_t length = ::read(source.native_handle(), record.data(), record.size());
    if (length < 0 && errno == EAGAIN) {
      auto [error] =
          co_await source.async_wait(asio::posix::stream_descriptor::wait_read, asio::as_tuple(asio::use_awaitable));
      if (error) {
        co_return fail(Kind::cancelled, "cancelled");
      }
      continue;
    }
    if (length < 0 && errno == EPIPE) {
      continue;  // the oldest were overwritten before they were read
    }
    if (length <= 0) {
      co_return fail_errno(errno, "read /dev/kmsg");
    }
    std::string_view text(record.data(), static_cast<size_t>(length));
    text = text.substr(0, text.find('\n'));
    if (const size_t begin = text.find(';'); begin != text.npos) {
      if (const auto victim = messages.next(text.substr(begin + 1))) {
        tell(*victim);
      }
    }
  }
}

std::string oom_text(const OomVictim& victim) {
  return fmt::format("System OOM encountered, victim process: {}, pid: {}", victim.process, victim.pid);
}

}  // namespace keelson::agent
