// SPDX-License-Identifier: Apache-2.0
// cgroups.h: limits and device rules.
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>

#include "common/fd.h"
#include "cri/runtime/cgroups.h"

namespace keelson::cri {

namespace v1 = ::runtime::v1;

namespace {

constexpr std::string_view kDevices[] = {
    "c *:* m",   "b *:* m",  // making a node is harmless where opening it is not allowed
    "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm",   "c 1:8 rwm", "c 1:9 rwm",  // null zero full random urandom
    "c 5:0 rwm", "c 5:2 rwm", "c 136:* rwm",                            // tty ptmx pts
};

Result<> set(const std::string& folder, std::string_view file, std::string_view value) {
  if (folder.empty()) {
    return fail(Kind::unsupported, "{}: this node has no such cgroup controller", file);
  }
  return write_value(fmt::format("{}/{}", folder, file), value);
}

bool is_there(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

// "0-3" or "max" in a file that is already so would still take a lock; an absent file of an optional feature is no
// error.
Result<> set_if_there(const std::string& path, std::string_view value) {
  return is_there(path) ? write_value(path, value) : Result<>();
}

}  // namespace

uint64_t cpu_weight_of_shares(int64_t shares) {
  if (shares <= 0) {
    return 0;
  }
  if (shares <= 2) {
    return 1;
  }
  if (shares >= 262144) {
    return 10000;
  }
  const double l = std::log2(static_cast<double>(shares));
  return static_cast<uint64_t>(std::ceil(std::pow(10, (l * l + 125 * l) / 612.0 - 7.0 / 34.0)));
}

Result<> Cgroups::apply(const std::string& path, const v1::LinuxContainerResources& resources) const {
  return unified() ? apply_v2(path, resources) : apply_v1(path, resources);
}

Result<> Cgroups::limit_memory_v1(const std::string& path, const v1::LinuxContainerResources& resources) const {
  const auto limit = resources.memory_limit_in_bytes();
  if (limit == 0) {
    return {};
  }
  const auto dir = folder("memory", path);
  const auto swap = resources.memory_swap_limit_in_bytes() ? resources.memory_swap_limit_in_bytes() : limit;
  const auto memsw = dir + "/memory.memsw.limit_in_bytes";
  // Memory may never be above memory+swap: which goes first depends on the direction.
  auto first = set(dir, "memory.limit_in_bytes", std::to_string(limit));
  if (is_there(memsw)) {
    KEELSON_DO(write_value(memsw, std::to_string(swap)));
  }
  return first ? first : set(dir, "memory.limit_in_bytes", std::to_string(limit));
}

Result<> Cgroups::apply_v1(const std::string& path, const v1::LinuxContainerResources& resources) const {
  const auto cpu = folder("cpu", path);
  if (resources.cpu_shares() > 0) {
    KEELSON_DO(set(cpu, "cpu.shares", std::to_string(resources.cpu_shares())));
  }
  if (resources.cpu_period() > 0) {
    KEELSON_DO(set(cpu, "cpu.cfs_period_us", std::to_string(resources.cpu_period())));
  }
  if (resources.cpu_quota() != 0) {
    KEELSON_DO(set(cpu, "cpu.cfs_quota_us", std::to_string(resources.cpu_quota())));
  }
  KEELSON_DO(limit_memory_v1(path, resources));
  const auto cpuset = folder("cpuset", path);
  if (!resources.cpuset_cpus().empty()) {
    KEELSON_DO(set(cpuset, "cpuset.cpus", resources.cpuset_cpus()));
  }
  if (!resources.cpuset_mems().empty()) {
    KEELSON_DO(set(cpuset, "cpuset.mems", resources.cpuset_mems()));
  }
  for (const auto& huge : resources.hugepage_limits()) {
    const auto dir = folder("hugetlb", path);
    KEELSON_DO(
        set_if_there(fmt::format("{}/hugetlb.{}.limit_in_bytes", dir, huge.page_size()), std::to_string(huge.limit())));
  }
  return {};
}

Result<> Cgroups::apply_v2(const std::string& path, const v1::LinuxContainerResources& resources) const {
  const auto dir = hierarchies_.front().root + path;
  if (const auto weight = cpu_weight_of_shares(resources.cpu_shares())) {
    KEELSON_DO(set(dir, "cpu.weight", std::to_string(weight)));
  }
  if (resources.cpu_quota() != 0) {
    const auto period = resources.cpu_period() > 0 ? resources.cpu_period() : 100000;
    const auto quota = resources.cpu_quota() < 0 ? "max" : std::to_string(resources.cpu_quota());
    KEELSON_DO(set(dir, "cpu.max", fmt::format("{} {}", quota, period)));
  }
  if (const auto limit = resources.memory_limit_in_bytes(); limit != 0) {
    KEELSON_DO(set(dir, "memory.max", limit < 0 ? "max" : std::to_string(limit)));
    const auto swap = resources.memory_swap_limit_in_bytes();
    KEELSON_DO(set_if_there(dir + "/memory.swap.max", swap > limit ? std::to_string(swap - limit) : "0"));
    KEELSON_DO(set_if_there(dir + "/memory.oom.group", "1"));
  }
  if (!resources.cpuset_cpus().empty()) {
    KEELSON_DO(set(dir, "cpuset.cpus", resources.cpuset_cpus()));
  }
  if (!resources.cpuset_mems().empty()) {
    KEELSON_DO(set(dir, "cpuset.mems", resources.cpuset_mems()));
  }
  for (const auto& huge : resources.hugepage_limits()) {
    KEELSON_DO(set_if_there(fmt::format("{}/hugetlb.{}.max", dir, huge.page_size()), std::to_string(huge.limit())));
  }
  for (const auto& [file, value] : resources.unified()) {
    if (file.find('/') != std::string::npos) {
      return fail(Kind::invalid, "linux.resources.unified: \"{}\" is not a file name", file);
    }
    KEELSON_DO(set(dir, file, value).context("linux.resources.unified"));
  }
  return {};
}

Result<> Cgroups::confine_devices(const std::string& path, const std::vector<std::string>& allowed) const {
  const auto dir = folder("devices", path);
  if (dir.empty()) {
    return {};
  }
  KEELSON_DO(write_value(dir + "/devices.deny", "a"));
  for (const auto rule : kDevices) {
    KEELSON_DO(write_value(dir + "/devices.allow", rule));
  }
  for (const auto& rule : allowed) {
    KEELSON_DO(write_value(dir + "/devices.allow", rule));
  }
  return {};
}

}  // namespace keelson::cri
