// SPDX-License-Identifier: Apache-2.0
// watcher.h over epoll.
#include "cri/runtime/watcher.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <array>

namespace keelson::cri {

namespace {

// A frame that has begun to arrive is here soon; a shim that stops in its middle is as good as dead.
constexpr std::chrono::seconds kFrameTime{5};

}  // namespace

ShimWatcher::ShimWatcher(Listener listener, Fd epoll, Fd wake)
    : listener_(std::move(listener)), epoll_(std::move(epoll)), wake_(std::move(wake)) {
  thread_ = std::jthread([this] { run(); });
}

ShimWatcher::~ShimWatcher() {
  const uint64_t one = 1;
  static_cast<void>(::write(wake_.get(), &one, sizeof one));
}

Result<std::unique_ptr<ShimWatcher>> ShimWatcher::start(Listener listener) {
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  Fd wake(::eventfd(0, EFD_CLOEXEC));
  epoll_event event{.events = EPOLLIN, .data = {.fd = wake.get()}};
  if (!epoll || !wake || ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) {
    return fail_errno(errno, "watch shims");
  }
  return std::unique_ptr<ShimWatcher>(new ShimWatcher(std::move(listener), std::move(epoll), std::move(wake)));
}

Result<> ShimWatcher::watch(const std::string& sandbox_id, std::unique_ptr<shim::ShimClient> connection) {
  KEELSON_DO(connection->subscribe());
  const int fd = connection->fd();
  const std::scoped_lock lock(mutex_);
  lines_[fd] = std::make_shared<Line>(sandbox_id, std::move(connection));
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    lines_.erase(fd);
    return fail_errno(errno, "watch the shim of {}", sandbox_id);
  }
  return {};
}

void ShimWatcher::forget(const std::string& sandbox_id) {
  const std::scoped_lock lock(mutex_);
  std::erase_if(lines_, [&](const auto& entry) { return entry.second->sandbox_id == sandbox_id; });
}

void ShimWatcher::run() {
  ::pthread_setname_np(::pthread_self(), "kl-shims");
  std::array<epoll_event, 64> ready{};
  while (true) {
    const int count = ::epoll_wait(epoll_.get(), ready.data(), static_cast<int>(ready.size()), -1);
    for (int i = 0; i < count; ++i) {
      const int fd = ready[static_cast<size_t>(i)].data.fd;
      if (fd == wake_.get()) {
        return;
      }
      serve(fd);
    }
  }
}

void ShimWatcher::serve(int fd) {
  std::shared_ptr<Line> line;
  {
    const std::scoped_lock lock(mutex_);
    const auto found = lines_.find(fd);
    if (found == lines_.end()) {
      return;  // forgotten since epoll_wait
    }
    line = found->second;
  }
  // Several events may have come in one read; those make the descriptor readable no more, so take them all now.
  auto event = line->connection->next_event(kFrameTime);
  bool any = false;
  while (event) {
    any = true;
    listener_.exited(line->sandbox_id, event->status);
    event = line->connection->next_event(std::chrono::milliseconds(0));
  }
  if (any && event.error().kind() == Kind::timeout) {
    return;
  }
  {
    const std::scoped_lock lock(mutex_);
    if (const auto found = lines_.find(fd); found == lines_.end() || found->second != line) {
      return;
    }
    lines_.erase(fd);
  }
  listener_.lost(line->sandbox_id);
}

}  // namespace keelson::cri
