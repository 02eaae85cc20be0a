// SPDX-License-Identifier: Apache-2.0
// Datagrams to the manager's socket.
#include "cmd/keelson/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <cstring>

#include "common/fd.h"
#include "common/log.h"

namespace keelson::cli {

namespace {

/// A variable, which is gone then.
std::string take(const char* name) {
  const char* value = ::getenv(name);
  std::string text = value == nullptr ? "" : value;
  ::unsetenv(name);
  return text;
}

int64_t number_of(const std::string& text) {
  int64_t number = 0;
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), number);
  return wrong == std::errc() && end == text.data() + text.size() ? number : 0;
}

}  // namespace

ServiceManager::ServiceManager() : socket_(take("NOTIFY_SOCKET")) {
  const int64_t microseconds = number_of(take("WATCHDOG_USEC"));
  const std::string pid = take("WATCHDOG_PID");
  if (!socket_.empty() && microseconds > 0 && (pid.empty() || number_of(pid) == ::getpid())) {
    period_ = std::chrono::microseconds(microseconds) / 2;
  }
}

void ServiceManager::tell(std::string_view state) const {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (socket_.empty() || socket_.size() >= sizeof(address.sun_path)) {
    return;
  }
  std::memcpy(address.sun_path, socket_.data(), socket_.size());
  if (address.sun_path[0] == '@') {
    address.sun_path[0] = '\0';  // an abstract one
  }
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
  const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto* to = reinterpret_cast<const sockaddr*>(&address);
  if (::sendto(socket.get(), state.data(), state.size(), MSG_NOSIGNAL, to, size) < 0) {
    log::warning("tell the service manager {}: {}", state, std::strerror(errno));
  }
}

Task<> keep_alive(Loop* loop, const ServiceManager* manager) {
  while (manager->period()) {
    manager->alive();
    KEELSON_CO_DO(co_await loop->sleep(*manager->period()));
  }
  co_return Result<>();
}

}  // namespace keelson::cli
