// SPDX-License-Identifier: Apache-2.0
// resources.h.
#include "cri/runtime/resources.h"

namespace keelson::cri {

namespace {

constexpr const char* kUsual[] = {
    "c *:* m",   "b *:* m",   "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm",
    "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm", "c 5:2 rwm", "c 136:* rwm",
};

}  // namespace

cgroup::Limits limits_of(const ::runtime::v1::LinuxContainerResources& resources) {
  const auto memory = resources.memory_limit_in_bytes();
  const auto swap = resources.memory_swap_limit_in_bytes();
  cgroup::Limits limits{.cpu_shares = resources.cpu_shares(),
                        .cpu_quota = resources.cpu_quota(),
                        .cpu_period = resources.cpu_period(),
                        .cpuset_cpus = resources.cpuset_cpus(),
                        .cpuset_mems = resources.cpuset_mems(),
                        .memory = memory,
                        .memory_swap = swap != 0 ? swap : memory,
                        .unified = {resources.unified().begin(), resources.unified().end()}};
  for (const auto& pages : resources.hugepage_limits()) {
    limits.huge_pages.push_back({.page_size = pages.page_size(), .bytes = pages.limit()});
  }
  return limits;
}

std::vector<std::string> with_usual_devices(std::vector<std::string> rules) {
  rules.insert(rules.begin(), std::begin(kUsual), std::end(kUsual));
  return rules;
}

}  // namespace keelson::cri
