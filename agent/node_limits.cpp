// SPDX-License-Identifier: Apache-2.0
#include "agent/node_limits.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/log.h"

namespace keelson::agent {

namespace {

constexpr std::chrono::minutes kRetry{1};
constexpr const char* kEnforced = "NodeAllocatableEnforced";
constexpr const char* kFailed = "FailedNodeAllocatableEnforcement";

/// "Kube Reserved Compressible" as the event has it: "kube reserved".
std::string list_of(const NodeLimits::Other& other) {
  auto name = other.what.substr(0, other.what.find(" Compressible"));
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
  return name;
}

}  // namespace

Result<> limit_others(NodePodConfigs& configs, const NodeLimits& limits) {
  for (const auto& other : limits.others) {
    KEELSON_DO(configs.limit_other(other.cgroup, other.limits)
                   .context("Failed to enforce {} Cgroup Limits on \"{}\"", other.what, other.cgroup));
  }
  return {};
}

Task<> limit_pods(Loop& loop, NodePodConfigs& configs, NodeLimits limits,
                  std::function<void(const NodeEvent&)> record) {
  for (const auto& other : limits.others) {
    record(
        {.reason = kEnforced, .message = fmt::format("Updated limits on {} cgroup {}", list_of(other), other.cgroup)});
  }
  while (true) {
    auto done = co_await configs.limit_all(limits.pods);
    if (done) {
      record({.reason = kEnforced, .message = "Updated Node Allocatable limit across pods"});
      co_return Result<>();
    }
    if (done.error().kind() == Kind::cancelled) {
      co_return done;
    }
    auto message = fmt::format("Failed to update Node Allocatable Limits \"kubepods\": {}", done.error().message());
    log::warning("{}", message);
    record({.warning = true, .reason = kFailed, .message = std::move(message)});
    KEELSON_CO_DO(co_await loop.sleep(kRetry));
  }
}

}  // namespace keelson::agent
