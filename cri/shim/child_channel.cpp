// SPDX-License-Identifier: Apache-2.0
// child_channel.h, and the shim's end of it in child.h: sendmsg(2), recvmsg(2).
#include "cri/shim/child_channel.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

#include "cri/shim/child.h"

namespace keelson::cri::shim {

Result<Channel> make_channel() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) {
    return fail_errno(errno, "make a socket pair");
  }
  return Channel{Fd(ends[0]), Fd(ends[1])};
}

void tell(int channel, const Result<>& outcome, const Fd& terminal) {
  std::string packet = "R";
  if (!outcome) {
    auto code = static_cast<int32_t>(outcome.error().code());
    packet = "E";
    packet.push_back(static_cast<char>(outcome.error().kind()));
    packet.append(reinterpret_cast<const char*>(&code), sizeof code);
    packet += outcome.error().message();
  }
  iovec data{packet.data(), packet.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (terminal) {
    int fd = terminal.get();
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  ::sendmsg(channel, &message, MSG_NOSIGNAL);
}

void report_birth(int report, pid_t pid, const Fd& pidfd) {
  iovec data{&pid, sizeof pid};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  const int fd = pidfd.get();
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  ::sendmsg(report, &message, MSG_NOSIGNAL);
}

/// Nothing if there was none: the channel says why.
std::optional<Born> read_birth(int report) {
  Born born;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  iovec data{&born.pid, sizeof born.pid};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  if (::recvmsg(report, &message, MSG_CMSG_CLOEXEC) != sizeof born.pid) {
    return std::nullopt;
  }
  if (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    born.pidfd = Fd(fd);
  }
  return born;
}

Result<std::optional<ChildMessage>> read_child(int channel) {
  std::array<char, 4096> packet;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  iovec data{packet.data(), packet.size()};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t n = ::recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
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
  if (packet[0] == 'R') {
    heard.what = ChildMessage::What::ready;
    if (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr && header->cmsg_type == SCM_RIGHTS) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
      heard.terminal = Fd(fd);
    }
    return heard;
  }
  heard.what = ChildMessage::What::failed;
  int32_t code = 0;
  constexpr size_t kHead = 2 + sizeof code;
  if (static_cast<size_t>(n) >= kHead) {
    std::memcpy(&code, packet.data() + 2, sizeof code);
    heard.error =
        Error(static_cast<Kind>(packet[1]), std::string(packet.data() + kHead, static_cast<size_t>(n) - kHead), code);
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
