// SPDX-License-Identifier: Apache-2.0
#include "tests/services/socket_maker.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>
#include <filesystem>

namespace keelson::services {
namespace {

struct Request {
  int family, type, protocol;
  char netns[256];
};

void send_socket(int channel, const Fd& made) {
  char byte = made ? 0 : 1;
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (made) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    auto* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    int fd = made.get();
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  sendmsg(channel, &message, MSG_NOSIGNAL);
}

[[noreturn]] void serve(int channel, const std::string& cgroup) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (!write_value(cgroup + "/cgroup.procs", "0")) {
    _exit(1);
  }
  Request request{};
  while (recv(channel, &request, sizeof request, 0) == static_cast<ssize_t>(sizeof request)) {
    Fd made;
    if (auto netns = open_file(request.netns, O_RDONLY); netns && setns(netns->get(), CLONE_NEWNET) == 0) {
      made.reset(socket(request.family, request.type | SOCK_NONBLOCK | SOCK_CLOEXEC, request.protocol));
    }
    send_socket(channel, made);
  }
  _exit(0);
}

}  // namespace

SocketMaker::SocketMaker(std::string cgroup) : cgroup_(std::move(cgroup)) {
  std::filesystem::create_directories(cgroup_);
  int ends[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  channel_.reset(ends[0]);
  Fd other(ends[1]);
  child_ = fork();
  if (child_ == 0) {
    channel_.reset();
    serve(other.get(), cgroup_);
  }
}

SocketMaker::~SocketMaker() {
  channel_.reset();
  waitpid(child_, nullptr, 0);
  std::error_code error;
  std::filesystem::remove(cgroup_, error);
  EXPECT_FALSE(error) << cgroup_ << " is in use: " << error.message();
}

Fd SocketMaker::make(const std::string& netns, int family, int type, int protocol) {
  std::scoped_lock lock(mutex_);
  Request request{.family = family, .type = type, .protocol = protocol, .netns = {}};
  netns.copy(request.netns, sizeof request.netns - 1);
  ::send(channel_.get(), &request, sizeof request, MSG_NOSIGNAL);
  char byte = 1;
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  Fd made;
  if (recvmsg(channel_.get(), &message, MSG_CMSG_CLOEXEC) == 1 && byte == 0 && CMSG_FIRSTHDR(&message)) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    made.reset(fd);
  }
  EXPECT_TRUE(made) << "no socket in " << netns;
  return made;
}

}  // namespace keelson::services
