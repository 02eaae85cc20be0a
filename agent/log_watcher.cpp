// SPDX-License-Identifier: Apache-2.0
// log_watcher.h by inotify.
#include "agent/log_watcher.h"

#include <sys/inotify.h>

#include <cstring>
#include <vector>

namespace keelson::agent {

namespace {

constexpr uint32_t kEvents =
    IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

}  // namespace

LogWatcher::Watch::~Watch() {
  if (const auto watcher = watcher_.lock()) {
    watcher->forget(this);
  }
}

void LogWatcher::Watch::poke() {
  pokes_.try_send(boost::system::error_code());
}

Task<> LogWatcher::Watch::changed() {
  auto [error] = co_await pokes_.async_receive(use_result);
  if (error) {
    co_return fail_asio(error, "wait for a log");
  }
  co_return Result<>();
}

Result<std::shared_ptr<LogWatcher>> LogWatcher::open(Loop& loop) {
  const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) {
    return fail_errno(errno, "inotify_init1 (raise fs.inotify.max_user_instances)");
  }
  std::shared_ptr<LogWatcher> watcher(new LogWatcher(loop));
  watcher->events_.assign(fd);
  return watcher;
}

Result<std::unique_ptr<LogWatcher::Watch>> LogWatcher::watch(const std::string& path) {
  const auto folder = path.substr(0, path.rfind('/'));
  const int number = ::inotify_add_watch(events_.native_handle(), folder.c_str(), kEvents);
  if (number < 0) {
    return fail_errno(errno, "watch {}{}", folder, errno == ENOSPC ? " (raise fs.inotify.max_user_watches)" : "");
  }
  std::unique_ptr<Watch> watch(new Watch(loop_, weak_from_this(), number));
  watches_[number].insert(watch.get());
  return watch;
}

void LogWatcher::forget(Watch* watch) {
  const auto found = watches_.find(watch->folder_);
  if (found == watches_.end()) {
    return;
  }
  found->second.erase(watch);
  if (found->second.empty()) {
    ::inotify_rm_watch(events_.native_handle(), watch->folder_);
    watches_.erase(found);
  }
}

void LogWatcher::poke_all() {
  std::vector<int> folders;
  for (const auto& [folder, followers] : watches_) {
    folders.push_back(folder);
  }
  for (const auto folder : folders) {
    tell(folder);
  }
}

// A follower that is poked may end at once, and others with it.
void LogWatcher::tell(int folder) {
  const auto found = watches_.find(folder);
  const auto followers = found == watches_.end() ? std::set<Watch*>() : found->second;
  for (auto* follower : followers) {
    const auto still = watches_.find(folder);
    if (still != watches_.end() && still->second.contains(follower)) {
      follower->poke();
    }
  }
}

Task<> LogWatcher::run(std::shared_ptr<LogWatcher> self) {
  char buffer[16 << 10];
  while (true) {
    auto [error, size] = co_await self->events_.async_read_some(asio::buffer(buffer), use_result);
    if (error) {
      co_return fail_asio(error, "read inotify");
    }
    for (size_t at = 0; at + sizeof(inotify_event) <= size;) {
      inotify_event event{};
      std::memcpy(&event, buffer + at, sizeof event);
      at += sizeof event + event.len;
      if ((event.mask & IN_Q_OVERFLOW) != 0) {
        self->poke_all();
      } else {
        self->tell(event.wd);
      }
    }
  }
}

}  // namespace keelson::agent
