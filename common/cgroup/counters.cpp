// SPDX-License-Identifier: Apache-2.0
// counters.h from the kernel's files (cgroup-v1/memory.rst, cpuacct.rst; cgroup-v2.rst).
#include "common/cgroup/counters.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>

#include "common/cgroup/files.h"
#include "common/fd.h"

namespace keelson::cgroup {

namespace {

constexpr uint64_t kNoLimit = 1ull << 62;  // v1's "none" is the largest page-aligned int64

std::string text_in(const std::string& path) {
  return read_file(path).value_or("");
}
uint64_t limit(uint64_t value) {
  return value > kNoLimit ? 0 : value;
}

/// The inverse of the kubelet's curve: what a weight was worked out from.
uint64_t shares_of_weight(uint64_t weight) {
  return weight == 0 ? 0 : 2 + (weight - 1) * 262142 / 9999;
}

void read_cpu(const std::string& dir, Counters& into) {
  const auto stat = text_in(dir + "/cpu.stat");
  into.cpu = value_in(stat, "usage_usec") * 1000;
  into.cpu_user = value_in(stat, "user_usec") * 1000;
  into.cpu_system = value_in(stat, "system_usec") * 1000;
  into.periods = value_in(stat, "nr_periods");
  into.throttled_periods = value_in(stat, "nr_throttled");
  into.throttled = value_in(stat, "throttled_usec") * 1000;
  into.cpu_shares = shares_of_weight(number_in(dir + "/cpu.weight"));
  char quota[32] = {};
  unsigned long period = 0;
  if (std::sscanf(text_in(dir + "/cpu.max").c_str(), "%31s %lu", quota, &period) == 2) {
    into.cpu_quota = std::strtoll(quota, nullptr, 10);
    into.cpu_period = period;
  }
}

void read_cpu_v1(const std::string& dir, Counters& into) {
  const auto stat = text_in(dir + "/cpu.stat");
  into.periods = value_in(stat, "nr_periods");
  into.throttled_periods = value_in(stat, "nr_throttled");
  into.throttled = value_in(stat, "throttled_time");
  into.cpu_shares = number_in(dir + "/cpu.shares");
  into.cpu_quota =
      std::max<int64_t>(static_cast<int64_t>(std::strtoll(text_in(dir + "/cpu.cfs_quota_us").c_str(), nullptr, 10)), 0);
  into.cpu_period = number_in(dir + "/cpu.cfs_period_us");
}

void read_account_v1(const std::string& dir, Counters& into) {
  static const auto tick = static_cast<uint64_t>(1'000'000'000 / ::sysconf(_SC_CLK_TCK));
  const auto stat = text_in(dir + "/cpuacct.stat");
  into.cpu = number_in(dir + "/cpuacct.usage");
  into.cpu_user = value_in(stat, "user") * tick;
  into.cpu_system = value_in(stat, "system") * tick;
}

void read_memory(const std::string& dir, Counters& into) {
  const auto stat = text_in(dir + "/memory.stat");
  into.memory = number_in(dir + "/memory.current");
  into.anonymous = value_in(stat, "anon");
  into.cache = value_in(stat, "file");
  into.mapped_files = value_in(stat, "file_mapped");
  into.active_files = value_in(stat, "active_file");
  into.inactive_files = value_in(stat, "inactive_file");
  into.kernel = value_in(stat, "kernel");
  into.swap = number_in(dir + "/memory.swap.current");
  into.highest_memory = number_in(dir + "/memory.peak");
  into.memory_limit = number_in(dir + "/memory.max");
  into.memory_reservation = number_in(dir + "/memory.low");
  into.swap_limit = number_in(dir + "/memory.swap.max");
  into.page_faults = value_in(stat, "pgfault");
  into.major_page_faults = value_in(stat, "pgmajfault");
  const auto events = text_in(dir + "/memory.events");
  into.failures = value_in(events, "max");
  into.oom_kills = value_in(events, "oom_kill");
}

void read_memory_v1(const std::string& dir, Counters& into) {
  const auto stat = text_in(dir + "/memory.stat");
  into.memory = number_in(dir + "/memory.usage_in_bytes");
  into.anonymous = value_in(stat, "total_rss");
  into.cache = value_in(stat, "total_cache");
  into.mapped_files = value_in(stat, "total_mapped_file");
  into.active_files = value_in(stat, "total_active_file");
  into.inactive_files = value_in(stat, "total_inactive_file");
  into.kernel = number_in(dir + "/memory.kmem.usage_in_bytes");
  into.swap = value_in(stat, "total_swap");
  into.highest_memory = number_in(dir + "/memory.max_usage_in_bytes");
  into.memory_limit = limit(number_in(dir + "/memory.limit_in_bytes"));
  into.memory_reservation = limit(number_in(dir + "/memory.soft_limit_in_bytes"));
  into.swap_limit = less(limit(number_in(dir + "/memory.memsw.limit_in_bytes")), into.memory_limit);
  into.page_faults = value_in(stat, "total_pgfault");
  into.major_page_faults = value_in(stat, "total_pgmajfault");
  into.failures = number_in(dir + "/memory.failcnt");
  into.oom_kills = value_in(text_in(dir + "/memory.oom_control"), "oom_kill");
}

/// "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0"
std::vector<DeviceUse> devices_in(const std::string& text) {
  std::vector<DeviceUse> list;
  for (const auto& line : words(text, '\n')) {
    DeviceUse use;
    unsigned long long numbers[4] = {};
    if (std::sscanf(line.c_str(), "%u:%u rbytes=%llu wbytes=%llu rios=%llu wios=%llu", &use.major, &use.minor,
                    &numbers[0], &numbers[1], &numbers[2], &numbers[3]) == 6) {
      use.read_bytes = numbers[0];
      use.written_bytes = numbers[1];
      use.reads = numbers[2];
      use.writes = numbers[3];
      list.push_back(use);
    }
  }
  return list;
}

/// "8:0 Read 123" and "8:0 Write 4" of the two files.
std::vector<DeviceUse> devices_v1(const std::string& dir) {
  std::map<std::pair<uint32_t, uint32_t>, DeviceUse> found;
  for (const bool bytes : {true, false}) {
    const auto file =
        dir + (bytes ? "/blkio.throttle.io_service_bytes_recursive" : "/blkio.throttle.io_serviced_recursive");
    for (const auto& line : words(text_in(file), '\n')) {
      uint32_t major = 0, minor = 0;
      char what[16] = {};
      unsigned long long number = 0;
      if (std::sscanf(line.c_str(), "%u:%u %15s %llu", &major, &minor, what, &number) != 4) {
        continue;
      }
      auto& use = found[{major, minor}];
      use.major = major;
      use.minor = minor;
      if (std::string_view(what) == "Read") {
        (bytes ? use.read_bytes : use.reads) = number;
      } else if (std::string_view(what) == "Write") {
        (bytes ? use.written_bytes : use.writes) = number;
      }
    }
  }
  std::vector<DeviceUse> list;
  for (const auto& [number, use] : found) {
    list.push_back(use);
  }
  return list;
}

std::optional<Pressure> pressure_in(const std::string& path) {
  const auto text = read_file(path);
  if (!text) {
    return std::nullopt;  // the kernel has none, or it is off
  }
  Pressure pressure;
  for (const auto& line : words(*text, '\n')) {
    char which[8] = {};
    Pressure::Line read;
    unsigned long long total = 0;
    if (std::sscanf(line.c_str(), "%7s avg10=%lf avg60=%lf avg300=%lf total=%llu", which, &read.average_10,
                    &read.average_60, &read.average_300, &total) == 5) {
      read.total_microseconds = total;
      (std::string_view(which) == "full" ? pressure.full : pressure.some) = read;
    }
  }
  return pressure;
}

using Listing = std::unique_ptr<DIR, decltype([](DIR* open) { ::closedir(open); })>;

void add_members(const std::string& folder, std::vector<pid_t>& all) {
  for (const auto& line : words(text_in(folder + "/cgroup.procs"), '\n')) {
    if (const auto pid = static_cast<pid_t>(std::strtol(line.c_str(), nullptr, 10)); pid > 0) {
      all.push_back(pid);
    }
  }
  const Listing listing(::opendir(folder.c_str()));
  while (const auto* entry = listing ? ::readdir(listing.get()) : nullptr) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
      add_members(folder + "/" + entry->d_name, all);
    }
  }
}

/// The root of v2 has no memory.current: what is used there is what the machine uses.
void read_machine_memory(Counters& into) {
  const auto text = text_in("/proc/meminfo");
  const auto field = [&text](const char* name) {
    const size_t at = text.find(name);
    return at == text.npos ? 0 : std::strtoull(text.c_str() + at + std::string_view(name).size(), nullptr, 10) * 1024;
  };
  into.memory = less(field("MemTotal:"), field("MemFree:"));
  into.swap = less(field("SwapTotal:"), field("SwapFree:"));
}

}  // namespace

Result<CounterReader> CounterReader::open() {
  KEELSON_TRY(const auto mounts, read_file("/proc/self/mountinfo"));
  auto hierarchies = parse_hierarchies(mounts);
  if (hierarchies.empty()) {
    return fail(Kind::unsupported, "no cgroup hierarchy is mounted");
  }
  return CounterReader(std::move(hierarchies));
}

CounterReader::Place CounterReader::place(std::string_view controller, const std::string& path) const {
  const auto governs = [&](const Hierarchy& one) {
    return !one.second && std::ranges::find(one.controllers, controller) != one.controllers.end();
  };
  if (const auto first = std::ranges::find_if(hierarchies_, governs); first != hierarchies_.end()) {
    return {.dir = first->root + path};
  }
  const auto second = std::ranges::find(hierarchies_, true, &Hierarchy::second);
  return second == hierarchies_.end() ? Place() : Place{.dir = second->root + path, .second = true};
}

std::string CounterReader::folder(const std::string& path) const {
  return hierarchies_.empty() ? "" : hierarchies_.back().root + path;
}

std::string CounterReader::find(const std::string& parent, std::string_view id) const {
  const Listing listing(::opendir(folder(parent).c_str()));
  while (const auto* entry = listing ? ::readdir(listing.get()) : nullptr) {
    if (entry->d_type == DT_DIR && std::string_view(entry->d_name).find(id) != std::string_view::npos) {
      return parent + "/" + entry->d_name;
    }
  }
  return "";
}

std::vector<pid_t> CounterReader::members(const std::string& path) const {
  std::vector<pid_t> all;
  if (const auto top = folder(path); !top.empty()) {
    add_members(top, all);
  }
  std::ranges::sort(all);
  return all;
}

Counters CounterReader::read(const std::string& path) const {
  Counters found;
  const auto cpu = place("cpu", path);
  cpu.second ? read_cpu(cpu.dir, found) : read_cpu_v1(cpu.dir, found);
  if (const auto account = place("cpuacct", path); !account.dir.empty() && !account.second) {
    read_account_v1(account.dir, found);
  }
  const auto memory = place("memory", path);
  memory.second ? read_memory(memory.dir, found) : read_memory_v1(memory.dir, found);
  if (memory.second && words(path, '/').empty()) {
    read_machine_memory(found);
  }
  found.working_set = less(found.memory, found.inactive_files);
  const auto pids = place("pids", path);
  found.threads = number_in(pids.dir + "/pids.current");
  found.threads_limit = number_in(pids.dir + "/pids.max");
  const auto io = place("blkio", path);
  if (!io.dir.empty() && !io.second) {
    found.devices = devices_v1(io.dir);
  } else if (const auto second = place("io", path); second.second) {
    found.devices = devices_in(text_in(second.dir + "/io.stat"));
  }
  if (const auto pressure = place("", path); pressure.second) {
    found.cpu_pressure = pressure_in(pressure.dir + "/cpu.pressure");
    found.memory_pressure = pressure_in(pressure.dir + "/memory.pressure");
    found.io_pressure = pressure_in(pressure.dir + "/io.pressure");
  }
  return found;
}

}  // namespace keelson::cgroup
