// SPDX-License-Identifier: Apache-2.0
// poller.h.
#include "cri/shim/poller.h"

#include <array>

namespace keelson::cri::shim {

namespace {

epoll_event event_of(Source source, uint32_t number, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = (static_cast<uint64_t>(source) << 32) | number;
  return event;
}

}  // namespace

Result<Poller> Poller::open() {
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) {
    return fail_errno(errno, "make an epoll set");
  }
  return Poller(std::move(epoll));
}

Poller::Watch::~Watch() {
  if (poller_ != nullptr) {
    ::epoll_ctl(poller_->epoll_.get(), EPOLL_CTL_DEL, fd_, nullptr);
  }
}

Poller::Watch Poller::watch(int fd, Source source, uint32_t number) {
  auto event = event_of(source, number, EPOLLIN);
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
  return {*this, fd};
}

void Poller::watch_room(int fd, Source source, uint32_t number, bool wanted) {
  auto event = event_of(source, number, EPOLLIN | (wanted ? EPOLLOUT : 0U));
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

std::vector<Poller::Ready> Poller::wait() {
  std::array<epoll_event, 32> events{};
  const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), -1);
  std::vector<Ready> ready;
  for (int i = 0; i < count; ++i) {
    const auto& event = events[static_cast<size_t>(i)];
    ready.push_back({.source = static_cast<Source>(event.data.u64 >> 32),
                     .number = static_cast<uint32_t>(event.data.u64),
                     .readable = (event.events & ~static_cast<uint32_t>(EPOLLOUT)) != 0,
                     .writable = (event.events & EPOLLOUT) != 0});
  }
  return ready;
}

}  // namespace keelson::cri::shim
