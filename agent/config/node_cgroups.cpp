// SPDX-License-Identifier: Apache-2.0
// node_cgroups.h.
#include "agent/config/node_cgroups.h"

#include <fmt/format.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>

#include "common/fd.h"

namespace keelson::agent {

namespace fs = std::filesystem;

namespace {

constexpr const char* kCgroups = "/sys/fs/cgroup";

/// The v2 cgroup that this process is in: the root has no memory.swap.max.
std::string own_cgroup() {
  const auto text = "\n" + read_file("/proc/self/cgroup").value_or("");
  constexpr std::string_view kSecond = "\n0::";
  const auto at = text.find(kSecond);
  if (at == std::string::npos) {
    return "";
  }
  const auto from = at + kSecond.size();
  return text.substr(from, text.find('\n', from) - from);
}

int64_t swap_of_machine() {
  struct sysinfo info{};
  return ::sysinfo(&info) == 0 ? static_cast<int64_t>(info.totalswap) * info.mem_unit : 0;
}

std::vector<std::string> page_sizes() {
  constexpr std::string_view kPrefix = "hugepages-";  // hugepages-2048kB
  std::vector<std::string> sizes;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/sys/kernel/mm/hugepages", error)) {
    const auto name = entry.path().filename().string();
    int64_t kibibytes = 0;
    if (name.starts_with(kPrefix)) {
      std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), kibibytes);
    }
    if (kibibytes > 0) {
      sizes.push_back(page_size_text(kibibytes * 1024));
    }
  }
  return sizes;
}

}  // namespace

bool has_unified_cgroups() {
  return fs::exists(std::string(kCgroups) + "/cgroup.controllers");
}

NodeCgroups read_node_cgroups(CpuQuotas quotas, MemoryRules rules) {
  const std::string root = kCgroups;
  NodeCgroups out;
  out.memory = static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
  out.unified = has_unified_cgroups();
  out.counts_swap =
      fs::exists(root + (out.unified ? own_cgroup() + "/memory.swap.max" : "/memory/memory.memsw.limit_in_bytes"));
  out.page_sizes = page_sizes();
  out.quotas = quotas;
  out.rules = rules;
  out.swap = swap_of_machine();
  return out;
}

std::string page_size_text(int64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KB", "MB", "GB", "TB"};
  size_t unit = 0;
  for (; bytes % 1024 == 0 && bytes > 0 && unit + 1 < std::size(kUnits); ++unit) {
    bytes /= 1024;
  }
  return fmt::format("{}{}", bytes, kUnits[unit]);
}

}  // namespace keelson::agent
