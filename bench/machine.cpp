// SPDX-License-Identifier: Apache-2.0
// /proc and /sys/fs/cgroup, read as text.
#include "bench/machine.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace keelson::bench {

namespace fs = std::filesystem;

namespace {

std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> all_pids() {
  std::vector<std::string> pids;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/proc", ignored)) {
    auto pid = entry.path().filename().string();
    if (pid.find_first_not_of("0123456789") == std::string::npos) {
      pids.push_back(pid);
    }
  }
  return pids;
}

std::string parent_of(const std::string& pid) {
  const auto status = text_of("/proc/" + pid + "/status");
  const auto at = status.find("\nPPid:\t");
  return at == std::string::npos ? "" : status.substr(at + 7, status.find('\n', at + 7) - at - 7);
}

}  // namespace

double since_ms(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double cgroup_cpu_ms(const std::string& path) {
  if (std::ifstream v1("/sys/fs/cgroup/cpuacct" + path + "/cpuacct.usage"); v1) {
    double nanoseconds = 0;
    v1 >> nanoseconds;
    return nanoseconds / 1e6;
  }
  std::ifstream v2("/sys/fs/cgroup" + path + "/cpu.stat");
  std::string key;
  for (double value = 0; v2 >> key >> value;) {
    if (key == "usage_usec") {
      return value / 1e3;
    }
  }
  return 0;
}

std::vector<std::string> processes(const std::string& word, const std::string& mark) {
  auto pids = all_pids();
  std::erase_if(pids, [&](const auto& pid) {
    const auto line = text_of("/proc/" + pid + "/cmdline");
    return line.find(word) == std::string::npos || line.find(mark) == std::string::npos;
  });
  return pids;
}

std::vector<std::string> with_descendants(std::vector<std::string> pids) {
  const auto all = all_pids();
  for (size_t i = 0; i < pids.size(); ++i) {
    for (const auto& pid : all) {
      if (parent_of(pid) == pids[i] && std::find(pids.begin(), pids.end(), pid) == pids.end()) {
        pids.push_back(pid);
      }
    }
  }
  return pids;
}

double smaps_kib(const std::string& pid, const std::string& prefix) {
  std::ifstream file("/proc/" + pid + "/smaps_rollup");
  double sum = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(prefix)) {
      sum += std::stod(line.substr(line.find(':') + 1));
    }
  }
  return sum;
}

void drop_caches() {
  ::sync();
  std::ofstream("/proc/sys/vm/drop_caches") << 3;
}

}  // namespace keelson::bench
