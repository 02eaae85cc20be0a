// SPDX-License-Identifier: Apache-2.0
#include "agent/plugins/plugin_watcher.h"

#include <sys/inotify.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include <boost/asio/posix/stream_descriptor.hpp>

#include "agent/plugins/proto/registration.grpc.pb.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/rpc/service_client.h"

namespace keelson::plugins {

namespace fs = std::filesystem;

namespace {

using RegistrationClient = rpc::ServiceClient<pluginregistration::Registration>;
using RegistrationCalls = RegistrationClient::Async;

constexpr std::chrono::seconds kFirstRetry{1};
constexpr std::chrono::seconds kLastRetry{60};
constexpr std::chrono::seconds kAnswer{10};
constexpr int64_t kSecond = 1'000'000'000;  // in ns

}  // namespace

PluginWatcher::PluginWatcher(Loop& loop, std::string folder, std::map<std::string, PluginHandler*> handlers)
    : loop_(loop), folder_(std::move(folder)), handlers_(std::move(handlers)), tasks_(loop) {}

Task<> PluginWatcher::run() {
  KEELSON_CO_DO(make_directories(folder_, 0750));
  const int events = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (events < 0) {
    co_return fail_errno(errno, "inotify_init1 (raise fs.inotify.max_user_instances)");
  }
  asio::posix::stream_descriptor stream(loop_.io(), events);
  if (::inotify_add_watch(events, folder_.c_str(), IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM) < 0) {
    co_return fail_errno(errno, "watch {}", folder_);
  }
  char buffer[4096];
  while (true) {
    scan();
    const auto [error, size] = co_await stream.async_read_some(asio::buffer(buffer), use_result);
    if (error) {
      co_return fail_asio(error, "read inotify");
    }
  }
}

Task<> PluginWatcher::close() {
  co_return co_await tasks_.close();
}

void PluginWatcher::scan() {
  std::map<std::string, SocketId> now;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder_, ignored)) {
    struct stat info{};
    const std::string path = entry.path();
    if (!entry.path().filename().string().starts_with('.') && ::stat(path.c_str(), &info) == 0 &&
        S_ISSOCK(info.st_mode)) {
      now[path] = {.inode = info.st_ino, .made_ns = info.st_mtim.tv_sec * kSecond + info.st_mtim.tv_nsec};
    }
  }
  for (auto it = sockets_.begin(); it != sockets_.end();) {
    const auto still = now.find(it->first);
    if (still != now.end() && still->second == it->second.id) {
      ++it;
      continue;
    }
    gone(it->second);
    it = sockets_.erase(it);
  }
  for (const auto& [path, id] : now) {
    if (!sockets_.contains(path)) {
      sockets_[path] = {.id = id, .plugin = {}};
      tasks_.spawn("plugin " + path, greet(path, id));
    }
  }
}

void PluginWatcher::gone(const Socket& socket) {
  const auto handler = handlers_.find(socket.plugin.type);
  if (!socket.plugin.name.empty() && handler != handlers_.end()) {
    log::info("{} {} has gone", socket.plugin.type, socket.plugin.name);
    handler->second->plugin_gone(socket.plugin);
  }
}

bool PluginWatcher::is_there(const std::string& path, const SocketId& id) const {
  const auto found = sockets_.find(path);
  return found != sockets_.end() && found->second.id == id;
}

/// Until it is registered, or has gone.
Task<> PluginWatcher::greet(std::string path, SocketId id) {
  std::string trouble;
  for (Duration wait = kFirstRetry; is_there(path, id); wait = std::min<Duration>(2 * wait, kLastRetry)) {
    auto done = co_await register_plugin(path, id);
    if (done || done.error().kind() == Kind::cancelled) {
      co_return done;
    }
    if (trouble != done.error().message()) {
      trouble = done.error().message();
      log::warning("plugin at {}: {}; trying again", path, trouble);
    }
    KEELSON_CO_DO(co_await loop_.sleep(wait));
  }
  co_return Result<>();
}

Task<> PluginWatcher::register_plugin(std::string path, SocketId id) {
  RegistrationClient client(loop_, path);
  KEELSON_CO_TRY(const auto info,
                 co_await client.ask(&RegistrationCalls::GetInfo, pluginregistration::InfoRequest(), kAnswer));
  const auto handler = handlers_.find(info.type());
  Result<> taken = handler != handlers_.end()
                       ? Result<>()
                       : fail(Kind::unsupported, "this node takes no plugins of type {}", info.type());
  Plugin plugin{.type = info.type(),
                .name = info.name(),
                .endpoint = info.endpoint().empty() ? path : info.endpoint(),
                .versions = {info.supported_versions().begin(), info.supported_versions().end()}};
  if (taken) {
    taken = co_await handler->second->plugin_registered(plugin);
  }
  if (!is_there(path, id)) {
    const bool succeeded = std::ranges::any_of(sockets_, [&](const auto& entry) {
      return entry.second.plugin.type == plugin.type && entry.second.plugin.name == plugin.name;
    });
    if (taken && !succeeded) {
      handler->second->plugin_gone(plugin);
    }
    co_return Result<>();
  }
  pluginregistration::RegistrationStatus status;
  status.set_plugin_registered(taken.has_value());
  if (!taken) {
    status.set_error(taken.error().message());
  } else {
    sockets_[path].plugin = plugin;
    log::info("{} {} is registered", plugin.type, plugin.name);
  }
  auto told = co_await client.ask(&RegistrationCalls::NotifyRegistrationStatus, status, kAnswer);
  co_return taken ? Result<>() : std::unexpected(std::move(taken).error());
}

}  // namespace keelson::plugins
