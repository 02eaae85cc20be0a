// SPDX-License-Identifier: Apache-2.0
// cgroups.h: what has been used.
#include <algorithm>
#include <cstdlib>

#include "common/fd.h"
#include "cri/runtime/cgroups.h"

namespace keelson::cri {

namespace {

// A file of one number; "max", absence and nonsense are 0.
uint64_t number_in(const std::string& path) {
  const auto text = read_file(path);
  return text ? std::strtoull(text->c_str(), nullptr, 10) : 0;
}

// The number after `key` at the start of a line, in a file of "key number" lines.
uint64_t value_in(const std::string& text, std::string_view key) {
  size_t at = 0;
  while (at < text.size()) {
    const auto end = std::min(text.find('\n', at), text.size());
    const auto line = std::string_view(text).substr(at, end - at);
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ') {
      return std::strtoull(line.data() + key.size() + 1, nullptr, 10);
    }
    at = end + 1;
  }
  return 0;
}

uint64_t less(uint64_t from, uint64_t what) {
  return from > what ? from - what : 0;
}

}  // namespace

uint64_t Cgroups::oom_kills(const std::string& path) const {
  if (path.empty()) {
    return 0;
  }
  if (unified()) {
    return value_in(read_file(hierarchies_.front().root + path + "/memory.events").value_or(""), "oom_kill");
  }
  const auto dir = folder("memory", path);
  return dir.empty() ? 0 : value_in(read_file(dir + "/memory.oom_control").value_or(""), "oom_kill");
}

CgroupUsage Cgroups::usage(const std::string& path) const {
  CgroupUsage usage;
  if (unified()) {
    const auto dir = hierarchies_.front().root + path;
    usage.cpu_nanoseconds = value_in(read_file(dir + "/cpu.stat").value_or(""), "usage_usec") * 1000;
    usage.memory = number_in(dir + "/memory.current");
    usage.memory_limit = number_in(dir + "/memory.max");
    usage.swap = number_in(dir + "/memory.swap.current");
    usage.processes = number_in(dir + "/pids.current");
    const auto stat = read_file(dir + "/memory.stat").value_or("");
    usage.working_set = less(usage.memory, value_in(stat, "inactive_file"));
    usage.anonymous = value_in(stat, "anon");
    usage.page_faults = value_in(stat, "pgfault");
    usage.major_page_faults = value_in(stat, "pgmajfault");
    return usage;
  }
  constexpr uint64_t kNoLimit = 1ull << 62;  // v1 says "none" as the largest page-aligned int64
  const auto memory = folder("memory", path);
  usage.cpu_nanoseconds = number_in(folder("cpuacct", path) + "/cpuacct.usage");
  usage.memory = number_in(memory + "/memory.usage_in_bytes");
  usage.memory_limit = number_in(memory + "/memory.limit_in_bytes");
  usage.memory_limit = usage.memory_limit > kNoLimit ? 0 : usage.memory_limit;
  usage.processes = number_in(folder("pids", path) + "/pids.current");
  const auto stat = read_file(memory + "/memory.stat").value_or("");
  usage.working_set = less(usage.memory, value_in(stat, "total_inactive_file"));
  usage.anonymous = value_in(stat, "total_rss");
  usage.page_faults = value_in(stat, "total_pgfault");
  usage.major_page_faults = value_in(stat, "total_pgmajfault");
  usage.swap = value_in(stat, "total_swap");
  return usage;
}

}  // namespace keelson::cri
