// SPDX-License-Identifier: Apache-2.0
#include "tests/services/servers.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <cstring>

#include "ebpf/testing.h"

namespace keelson::services {
namespace {

std::string greeting(const std::string& name, const ebpf::testing::Sockaddr& peer) {
  return fmt::format("{} {} {}\n", name, peer.host(), peer.port());
}

Fd bound(int type, const ebpf::testing::Sockaddr& at) {
  Fd fd(::socket(at.storage.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  int one = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  EXPECT_EQ(::bind(fd.get(), at.get(), at.size), 0) << at.host() << ": " << strerror(errno);
  return fd;
}

}  // namespace

Servers::Servers() : epoll_(epoll_create1(EPOLL_CLOEXEC)), stop_(eventfd(0, EFD_CLOEXEC)) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = stop_.get()}};
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, stop_.get(), &event);
}

Servers::~Servers() {
  if (thread_.joinable()) {
    eventfd_write(stop_.get(), 1);
    thread_.join();
  }
}

void Servers::add(Socket socket) {
  int fd = socket.fd.get();
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
  sockets_[fd] = std::move(socket);
}

void Servers::listen(const std::string& name, const std::string& address, uint16_t port) {
  auto at = ebpf::testing::Sockaddr::of(address, port);
  auto listener = bound(SOCK_STREAM, at);
  EXPECT_EQ(::listen(listener.get(), 256), 0);
  add({name, std::move(listener), Socket::Kind::listener});
  add({name, bound(SOCK_DGRAM, at), Socket::Kind::datagram});
}

void Servers::run() {
  thread_ = std::thread([this] {
    for (;;) {
      epoll_event events[64];
      int count = epoll_wait(epoll_.get(), events, 64, -1);
      for (int i = 0; i < count; i++) {
        if (events[i].data.fd == stop_.get()) {
          return;
        }
        if (auto found = sockets_.find(events[i].data.fd); found != sockets_.end()) {
          serve(found->second);
        }
      }
    }
  });
}

void Servers::serve(Socket& socket) {
  int fd = socket.fd.get();
  ebpf::testing::Sockaddr peer;
  if (socket.kind == Socket::Kind::listener) {
    Fd accepted(accept4(fd, peer.get(), &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (accepted) {
      auto text = greeting(socket.name, peer);
      ::send(accepted.get(), text.data(), text.size(), MSG_NOSIGNAL);
      add({socket.name, std::move(accepted), Socket::Kind::stream});
    }
    return;
  }
  char buffer[65536];
  auto length = recvfrom(fd, buffer, sizeof buffer, 0, peer.get(), &peer.size);
  if (socket.kind == Socket::Kind::datagram) {
    if (length >= 0) {
      auto text = greeting(socket.name, peer);
      text.resize(std::max(text.size(), static_cast<size_t>(length)), ' ');
      sendto(fd, text.data(), text.size(), MSG_NOSIGNAL, peer.get(), peer.size);
    }
    return;
  }
  if (length < 0 && errno == EAGAIN) {
    return;  // the event was of another socket that had this number
  }
  if (length <= 0) {
    sockets_.erase(fd);
    return;
  }
  peer.size = sizeof peer.storage;
  getpeername(fd, peer.get(), &peer.size);
  auto text = greeting(socket.name, peer);
  ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
}

}  // namespace keelson::services
