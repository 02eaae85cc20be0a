// SPDX-License-Identifier: Apache-2.0
// limits.h, and tree.h's limits and device rules.
#include "common/cgroup/limits.h"

#include <unistd.h>

#include <cmath>

#include "common/cgroup/device_filter.h"
#include "common/cgroup/systemd.h"
#include "common/cgroup/tree.h"
#include "common/fd.h"

namespace keelson::cgroup {

namespace {

bool is_there(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

Result<> put(const std::string& dir, std::string_view file, std::string_view value, Missing missing) {
  const auto path = fmt::format("{}/{}", dir, file);
  if (dir.empty() || !is_there(path)) {
    return missing == Missing::passed_over
               ? Result<>()
               : fail(Kind::unsupported, "{}: this node has no cgroup controller for it", file);
  }
  return write_value(path, value);
}

std::string or_max(int64_t value) {
  return value < 0 ? "max" : std::to_string(value);
}

// Memory may never be above memory and swap together: which goes first depends on the direction.
Result<> limit_memory_v1(const std::string& dir, const Limits& limits, Missing missing) {
  const auto memory = std::to_string(limits.memory < 0 ? -1 : limits.memory);
  auto first = put(dir, "memory.limit_in_bytes", memory, missing);
  if (limits.memory_swap != 0) {
    const auto both = std::to_string(limits.memory_swap < 0 ? -1 : limits.memory_swap);
    KEELSON_DO(put(dir, "memory.memsw.limit_in_bytes", both, Missing::passed_over));
  }
  return first ? first : put(dir, "memory.limit_in_bytes", memory, missing);
}

// v2 counts swap alone.
std::string swap_alone(const Limits& limits) {
  if (limits.memory_swap < 0) {
    return "max";
  }
  const bool some = limits.memory > 0 && limits.memory_swap > limits.memory;
  return std::to_string(some ? limits.memory_swap - limits.memory : 0);
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

Result<> Tree::limit_cpu(const std::string& path, const Limits& limits, Missing missing) const {
  const auto [dir, second] = place("cpu", path);
  if (limits.cpu_shares > 0) {
    KEELSON_DO(second ? put(dir, "cpu.weight", std::to_string(cpu_weight_of_shares(limits.cpu_shares)), missing)
                      : put(dir, "cpu.shares", std::to_string(limits.cpu_shares), missing));
  }
  if (second && limits.cpu_quota != 0) {
    const auto period = limits.cpu_period > 0 ? limits.cpu_period : kCpuPeriod;
    KEELSON_DO(put(dir, "cpu.max", fmt::format("{} {}", or_max(limits.cpu_quota), period), missing));
  }
  if (!second && limits.cpu_period > 0) {
    KEELSON_DO(put(dir, "cpu.cfs_period_us", std::to_string(limits.cpu_period), missing));
  }
  if (!second && limits.cpu_quota != 0) {
    const auto quota = limits.cpu_quota < 0 ? -1 : limits.cpu_quota;
    KEELSON_DO(put(dir, "cpu.cfs_quota_us", std::to_string(quota), missing));
  }
  const auto cpuset = place("cpuset", path).dir;
  if (!limits.cpuset_cpus.empty()) {
    KEELSON_DO(put(cpuset, "cpuset.cpus", limits.cpuset_cpus, missing));
  }
  return limits.cpuset_mems.empty() ? Result<>() : put(cpuset, "cpuset.mems", limits.cpuset_mems, missing);
}

Result<> Tree::limit_memory(const std::string& path, const Limits& limits, Missing missing) const {
  if (limits.memory == 0) {
    return {};
  }
  const auto [dir, second] = place("memory", path);
  if (!second) {
    return limit_memory_v1(dir, limits, missing);
  }
  KEELSON_DO(put(dir, "memory.max", or_max(limits.memory), missing));
  if (limits.memory_swap != 0) {
    KEELSON_DO(put(dir, "memory.swap.max", swap_alone(limits), Missing::passed_over));
  }
  return {};
}

Result<> Tree::limit_huge_pages(const std::string& path, const Limits& limits) const {
  const auto [dir, second] = place("hugetlb", path);
  for (const auto& huge : limits.huge_pages) {
    const auto file = fmt::format("hugetlb.{}.{}", huge.page_size, second ? "max" : "limit_in_bytes");
    KEELSON_DO(put(dir, file, std::to_string(huge.bytes), Missing::passed_over));
  }
  return {};
}

Result<> Tree::apply_unified(const std::string& path, const Limits& limits) const {
  for (const auto& [file, value] : limits.unified) {
    if (file.find('/') != std::string::npos) {
      return fail(Kind::invalid, "unified: \"{}\" is not a file name", file);
    }
    if (unified()) {
      KEELSON_DO(put(hierarchies_.front().root + path, file, value, Missing::refused).context("unified"));
    }
  }
  return {};
}

Result<> Tree::write(const std::string& path, const Limits& limits, Missing missing) const {
  KEELSON_DO(limit_cpu(path, limits, missing));
  KEELSON_DO(limit_memory(path, limits, missing));
  if (limits.processes != 0) {
    KEELSON_DO(put(place("pids", path).dir, "pids.max", or_max(limits.processes), missing));
  }
  KEELSON_DO(limit_huge_pages(path, limits));
  return apply_unified(path, limits);
}

Result<> Tree::apply(const std::string& path, const Limits& limits, Missing missing) const {
  if (!systemd_) {
    return write(path, limits, missing);
  }
  KEELSON_DO(set_unit(path, limits));
  return write(path, rounded_for_systemd(limits), missing);
}

Result<> Tree::confine_devices(const std::string& path, const std::vector<std::string>& allowed) const {
  if (systemd_) {
    KEELSON_DO(systemd_->set(unit_of(path), device_properties(allowed)));
  }
  const auto [dir, second] = place("devices", path);
  if (dir.empty()) {
    return {};
  }
  if (second) {
    return attach_device_filter(dir, allowed);
  }
  KEELSON_DO(write_value(dir + "/devices.deny", "a"));
  for (const auto& rule : allowed) {
    KEELSON_DO(write_value(dir + "/devices.allow", rule));
  }
  return {};
}

}  // namespace keelson::cgroup
