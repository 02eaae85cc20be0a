// SPDX-License-Identifier: Apache-2.0
// tree.h: what has been used.
#include "common/cgroup/files.h"
#include "common/cgroup/tree.h"
#include "common/fd.h"

namespace keelson::cgroup {

namespace {

void read_memory(const std::string& dir, Usage& usage) {
  usage.memory = number_in(dir + "/memory.current");
  usage.memory_limit = number_in(dir + "/memory.max");
  usage.swap = number_in(dir + "/memory.swap.current");
  const auto stat = read_file(dir + "/memory.stat").value_or("");
  usage.working_set = less(usage.memory, value_in(stat, "inactive_file"));
  usage.anonymous = value_in(stat, "anon");
  usage.page_faults = value_in(stat, "pgfault");
  usage.major_page_faults = value_in(stat, "pgmajfault");
}

void read_memory_v1(const std::string& dir, Usage& usage) {
  constexpr uint64_t kNoLimit = 1ull << 62;  // "none" is the largest page-aligned int64
  usage.memory = number_in(dir + "/memory.usage_in_bytes");
  usage.memory_limit = number_in(dir + "/memory.limit_in_bytes");
  usage.memory_limit = usage.memory_limit > kNoLimit ? 0 : usage.memory_limit;
  const auto stat = read_file(dir + "/memory.stat").value_or("");
  usage.working_set = less(usage.memory, value_in(stat, "total_inactive_file"));
  usage.anonymous = value_in(stat, "total_rss");
  usage.page_faults = value_in(stat, "total_pgfault");
  usage.major_page_faults = value_in(stat, "total_pgmajfault");
  usage.swap = value_in(stat, "total_swap");
}

}  // namespace

uint64_t Tree::oom_kills(const std::string& path) const {
  if (path.empty()) {
    return 0;
  }
  const auto [dir, second] = place("memory", path);
  return value_in(read_file(dir + (second ? "/memory.events" : "/memory.oom_control")).value_or(""), "oom_kill");
}

Usage Tree::usage(const std::string& path) const {
  Usage usage;
  const auto cpu = place("cpuacct", path);
  usage.cpu_nanoseconds = cpu.second ? value_in(read_file(cpu.dir + "/cpu.stat").value_or(""), "usage_usec") * 1000
                                     : number_in(cpu.dir + "/cpuacct.usage");
  const auto memory = place("memory", path);
  memory.second ? read_memory(memory.dir, usage) : read_memory_v1(memory.dir, usage);
  usage.processes = number_in(place("pids", path).dir + "/pids.current");
  return usage;
}

}  // namespace keelson::cgroup
