// SPDX-License-Identifier: Apache-2.0
#include "metrics/process_stats.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "common/fd.h"

namespace keelson::metrics {
namespace {

/// /proc/self/stat(5) behind the command, which may hold blanks: field 3 on.
Result<std::vector<std::string>> stat_fields() {
  KEELSON_TRY(auto text, read_file("/proc/self/stat"));
  auto behind = text.rfind(')');
  if (behind == text.npos) {
    return fail(Kind::internal, "/proc/self/stat: no command in it");
  }
  std::istringstream stream(text.substr(behind + 1));
  std::vector<std::string> fields;
  for (std::string field; stream >> field;) {
    fields.push_back(field);
  }
  if (fields.size() < 22) {
    return fail(Kind::internal, "/proc/self/stat: {} fields only", fields.size());
  }
  return fields;
}

/// When the machine started, in seconds since 1970.
Result<double> boot_time() {
  KEELSON_TRY(auto text, read_file("/proc/stat"));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("btime ")) {
      return std::stod(line.substr(6));
    }
  }
  return fail(Kind::internal, "/proc/stat: no btime");
}

size_t open_files() {
  std::error_code ignored;
  size_t count = 0;
  for (auto entry = std::filesystem::directory_iterator("/proc/self/fd", ignored);
       entry != std::filesystem::directory_iterator(); entry.increment(ignored)) {
    count++;
  }
  return count > 0 ? count - 1 : 0;  // the folder itself was open
}

double limit_of(decltype(RLIMIT_NOFILE) what) {
  rlimit limit{};
  return ::getrlimit(what, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY ? static_cast<double>(limit.rlim_cur) : -1;
}

}  // namespace

Result<> collect_process(Stats& stats) {
  KEELSON_TRY(const auto fields, stat_fields());
  KEELSON_TRY(const auto boot, boot_time());
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  auto number = [&](size_t field) { return std::stod(fields[field - 3]); };
  stats.counter("process_cpu_seconds_total", "User and system CPU time spent, in seconds.",
                (number(14) + number(15)) / ticks);
  stats.gauge("process_start_time_seconds", "When the process started, in seconds since 1970.",
              boot + number(22) / ticks);
  stats.gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", number(23));
  stats.gauge("process_resident_memory_bytes", "Resident memory size in bytes.",
              number(24) * static_cast<double>(::sysconf(_SC_PAGESIZE)));
  stats.gauge("process_virtual_memory_max_bytes", "Most virtual memory the process may have; -1: no limit.",
              limit_of(RLIMIT_AS));
  stats.gauge("go_goroutines",
              "Threads of this process, which is no Go program; the name is what dashboards of its peers ask for.",
              number(20));
  stats.gauge("process_open_fds", "Open file descriptors.", static_cast<double>(open_files()));
  stats.gauge("process_max_fds", "Most file descriptors the process may have open.", limit_of(RLIMIT_NOFILE));
  return {};
}

}  // namespace keelson::metrics
