// SPDX-License-Identifier: Apache-2.0
// pod_cgroups.h over common/cgroup.
#include "agent/config/pod_cgroups.h"

#include <algorithm>

namespace keelson::agent {

namespace {

constexpr int64_t kLeastShares = 2;

std::string below(const std::string& root, const std::string& name) {
  return (root == "/" ? "" : root) + name;
}

}  // namespace

PodCgroups::PodCgroups() : tree_(cgroup::Tree::open().value_or(cgroup::Tree({}))) {}

Result<> PodCgroups::create_root(const std::string& root) const {
  KEELSON_DO(tree_.create(below(root, "/kubepods/burstable")));
  return tree_.create(below(root, "/kubepods/besteffort"));
}

Result<> PodCgroups::create(const std::string& path, const PodLimits& limits) const {
  KEELSON_DO(tree_.create(path));
  if (auto parent = path.substr(0, path.rfind('/')); parent.ends_with("/besteffort")) {
    KEELSON_DO(set_shares(parent, kLeastShares));
  }
  const cgroup::Limits wanted{.cpu_shares = std::max(limits.cpu_shares, kLeastShares),
                              .cpu_quota = limits.cpu_quota > 0 ? limits.cpu_quota : -1,
                              .cpu_period = kCpuPeriod,
                              .memory = limits.memory_limit > 0 ? limits.memory_limit : -1};
  return tree_.apply(path, wanted, cgroup::Missing::passed_over);
}

Result<> PodCgroups::set_shares(const std::string& path, int64_t shares) const {
  return tree_.apply(path, {.cpu_shares = std::max(shares, kLeastShares)}, cgroup::Missing::passed_over);
}

Result<> PodCgroups::set_burstable(const std::string& root, int64_t cpu_shares) const {
  return set_shares(below(root, "/kubepods/burstable"), cpu_shares);
}

Result<> PodCgroups::remove(const std::string& path) const {
  return tree_.kill_and_remove(path);
}

void PodCgroups::remove_root(const std::string& root) const {
  for (const char* name : {"/kubepods/burstable", "/kubepods/besteffort", "/kubepods", ""}) {
    if (const auto path = below(root, name); !path.empty()) {
      tree_.remove_if_empty(path);
    }
  }
}

}  // namespace keelson::agent
