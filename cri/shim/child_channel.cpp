// SPDX-License-Identifier: Apache-2.0
// child_channel.h, and the shim's end of it in child.h. A packet is a letter and what belongs to it.
#include "cri/shim/child_channel.h"

#include <sys/socket.h>

#include <array>
#include <cstring>

#include "cri/shim/child.h"
#include "cri/shim/descriptors.h"

namespace keelson::cri::shim {

namespace {

constexpr char kReady = 'R';
constexpr char kBorn = 'B';    // i32 PID
constexpr char kFailed = 'E';  // u8 kind, i32 code, text

void append(std::string& packet, int32_t number) {
  packet.append(reinterpret_cast<const char*>(&number), sizeof number);
}

int32_t take_number(std::string_view& packet) {
  int32_t number = 0;
  if (packet.size() >= sizeof number) {
    std::memcpy(&number, packet.data(), sizeof number);
    packet.remove_prefix(sizeof number);
  }
  return number;
}

}  // namespace

Result<Channel> make_channel() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
    return fail_errno(errno, "make a socket pair");
  }
  return Channel{Fd(ends[0]), Fd(ends[1])};
}

void tell_ready(int channel, const Fd& terminal) {
  const int fd = terminal.get();
  send_with(channel, {&kReady, 1}, {&fd, terminal ? 1UL : 0UL});
}

void tell_failed(int channel, const Error& error) {
  std::string packet{kFailed, static_cast<char>(error.kind())};
  append(packet, error.code());
  packet += error.message();
  send_with(channel, packet, {});
}

void tell_born(int channel, pid_t pid, const Fd& pidfd) {
  std::string packet{kBorn};
  append(packet, pid);
  const int fd = pidfd.get();
  send_with(channel, packet, {&fd, 1});
}

Result<std::optional<ChildMessage>> read_child(int channel) {
  std::array<char, 4096> buffer;
  std::vector<Fd> fds;
  const ssize_t n = receive_with(channel, buffer, fds);
  if (n < 0) {
    if (errno == EAGAIN || errno == EINTR) {
      return std::nullopt;
    }
    return fail_errno(errno, "hear the new process");
  }
  ChildMessage heard;
  if (n == 0) {
    return heard;
  }
  std::string_view packet(buffer.data(), static_cast<size_t>(n));
  const char letter = packet[0];
  packet.remove_prefix(1);
  if (!fds.empty()) {
    heard.descriptor = std::move(fds[0]);
  }
  if (letter == kReady) {
    heard.what = ChildMessage::What::ready;
  } else if (letter == kBorn) {
    heard.what = ChildMessage::What::born;
    heard.pid = take_number(packet);
  } else {
    heard.what = ChildMessage::What::failed;
    const auto kind = packet.empty() ? Kind::internal : static_cast<Kind>(packet[0]);
    packet.remove_prefix(packet.empty() ? 0 : 1);
    const auto code = take_number(packet);
    heard.error = Error(kind, std::string(packet), code);
  }
  return heard;
}

Result<> release(int channel) {
  char go = 1;
  if (::send(channel, &go, 1, MSG_NOSIGNAL) != 1) {
    return fail_errno(errno, "start the process");
  }
  return {};
}

}  // namespace keelson::cri::shim
