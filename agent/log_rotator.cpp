// SPDX-License-Identifier: Apache-2.0
#include "agent/log_rotator.h"

#include <sys/stat.h>

#include <algorithm>

#include "agent/rotated_logs.h"
#include "common/log.h"

namespace keelson::agent {

using namespace asio::experimental::awaitable_operators;

namespace {

constexpr Duration kLimit = std::chrono::seconds(30);

/// nullopt: it is not there.
Result<std::optional<int64_t>> size_of(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) == 0) {
    return std::optional<int64_t>(status.st_size);
  }
  if (errno == ENOENT) {
    return std::optional<int64_t>();
  }
  return fail_errno(errno, "stat {}", path);
}

/// All at once: a task for each of `count`.
Task<> side_by_side(int count, std::function<Task<>()> make) {
  if (count <= 1) {
    co_return co_await make();
  }
  auto [first, others] = co_await (make() && side_by_side(count - 1, make));
  co_return first ? std::move(others) : std::move(first);
}

}  // namespace

LogRotator::LogRotator(Loop& loop, cri::RuntimeClient& runtime, LogRotation rotation)
    : loop_(loop), runtime_(runtime), rotation_(rotation), disk_(static_cast<size_t>(std::max(rotation.workers, 1))) {}

Task<> LogRotator::run() {
  while (rotation_.max_bytes >= 0) {
    const auto looked = co_await look();
    if (!looked && looked.error().kind() == Kind::cancelled) {
      co_return looked;
    }
    if (!looked && !away_) {
      log::warning("rotate logs of containers: {}; trying again", looked.error().message());
    }
    away_ = !looked;
    KEELSON_CO_DO(co_await loop_.sleep(rotation_.interval));
  }
  co_return Result<>();
}

/// Of what has ended nothing more is written, and its last words are best left where they are looked for.
Task<std::vector<LogRotator::Log>> LogRotator::logs_of_running() {
  KEELSON_CO_TRY(const auto containers, co_await runtime_.list_containers({}, kLimit));
  std::map<std::string, std::string> paths;
  std::vector<Log> logs;
  for (const auto& container : containers) {
    if (container.state != cri::ContainerState::running) {
      continue;
    }
    auto known = paths_.find(container.id);
    auto path = known != paths_.end() ? known->second : "";
    if (known == paths_.end()) {
      auto status = co_await runtime_.container_status(container.id, kLimit);
      if (!status && status.error().kind() == Kind::not_found) {
        continue;
      }
      KEELSON_CO_TRY(const auto told, std::move(status));
      path = told.log_path;
    }
    paths.emplace(container.id, path);
    if (!path.empty()) {
      logs.push_back({.container = container.id, .path = path});
    }
  }
  paths_ = std::move(paths);
  co_return logs;
}

Task<> LogRotator::look() {
  KEELSON_CO_TRY(auto logs, co_await logs_of_running());
  std::erase_if(troubles_, [&](const auto& trouble) {
    return std::ranges::none_of(logs, [&](const Log& log) { return log.path == trouble.first; });
  });
  co_return co_await side_by_side(rotation_.workers, [this, &logs] { return work(&logs); });
}

Task<> LogRotator::work(std::vector<Log>* left) {
  while (!left->empty()) {
    auto log = std::move(left->back());
    left->pop_back();
    auto done = co_await look_at(log);
    if (!done && done.error().kind() == Kind::cancelled) {
      co_return done;
    }
    tell(log, done);
  }
  co_return Result<>();
}

void LogRotator::tell(const Log& log, const Result<>& done) {
  if (done || done.error().kind() == Kind::not_found) {
    troubles_.erase(log.path);  // its container may have gone meanwhile
    return;
  }
  auto& told = troubles_[log.path];
  if (told != done.error().message()) {
    told = done.error().message();
    log::warning("rotate {} of container {}: {}; trying again", log.path, log.container, told);
  }
}

Task<> LogRotator::look_at(Log log) {
  auto measure = [path = log.path] { return size_of(path); };
  KEELSON_CO_TRY(auto size, co_await blocking(disk_, measure));
  if (!size) {
    // Somebody has taken it away, or an earlier life of ours before it told the runtime.
    KEELSON_CO_DO(co_await runtime_.reopen_container_log(log.container, kLimit));
    KEELSON_CO_TRY(size, co_await blocking(disk_, measure));
  }
  if (size && *size >= rotation_.max_bytes) {
    KEELSON_CO_DO(co_await rotate(std::move(log)));
  }
  co_return Result<>();
}

Task<> LogRotator::rotate(Log log) {
  KEELSON_CO_TRY(const auto moved, co_await blocking(disk_,
                                                     [path = log.path, most = rotation_.max_files,
                                                      now = loop_.clock().wall()]() -> Result<std::string> {
                                                       KEELSON_DO(tidy_rotated_logs(path, most));
                                                       return move_log_aside(path, now);
                                                     }));
  auto reopened = co_await runtime_.reopen_container_log(log.container, kLimit);
  if (reopened) {
    co_return reopened;
  }
  if (auto back = co_await blocking(disk_, [moved, path = log.path] { return move_log_back(moved, path); }); !back) {
    log::warning("{}", back.error().message());
  }
  co_return reopened;
}

}  // namespace keelson::agent
