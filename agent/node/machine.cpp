// SPDX-License-Identifier: Apache-2.0
#include "agent/node/machine.h"

#include <sys/statvfs.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <string_view>
#include <utility>

#include "common/fd.h"

namespace keelson::agent {

namespace {

namespace fs = std::filesystem;

std::string text_of(const std::string& path) {
  auto text = read_file(path, 1 << 20);
  if (!text) {
    return {};
  }
  text->erase(text->find_last_not_of(" \t\r\n") + 1);
  return *std::move(text);
}

/// The number at the beginning; 0 if there is none.
int64_t number_of(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

/// What stands behind `name` in the lines of a text; empty if no line begins with it.
std::string_view line_of(std::string_view text, std::string_view name) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const auto line = text.substr(at, end - at);
    if (line.starts_with(name)) {
      return line.substr(name.size());
    }
    at = end + 1;
  }
  return {};
}

int64_t kibibytes(std::string_view meminfo, std::string_view name) {
  return number_of(line_of(meminfo, name)) * 1024;
}

std::string os_image(const std::string& root) {
  for (const char* path : {"/etc/os-release", "/usr/lib/os-release"}) {
    const auto text = text_of(root + path);
    auto name = line_of(text, "PRETTY_NAME=");
    if (name.size() >= 2 && (name.front() == '"' || name.front() == '\'') && name.back() == name.front()) {
      name = name.substr(1, name.size() - 2);
    }
    if (!name.empty()) {
      return std::string(name);
    }
  }
  return "Unknown";
}

std::string go_architecture(std::string_view machine) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kNames = {{{"x86_64", "amd64"},
                                                                                    {"aarch64", "arm64"},
                                                                                    {"armv7l", "arm"},
                                                                                    {"armv6l", "arm"},
                                                                                    {"i686", "386"},
                                                                                    {"loongarch64", "loong64"},
                                                                                    {"mips64", "mips64"}}};
  const auto* known = std::ranges::find(kNames, machine, [](const auto& name) { return name.first; });
  return std::string(known != kNames.end() ? known->second : machine);
}

/// "0-3,6": 5.
int64_t count_of_range(std::string_view ranges) {
  int64_t count = 0;
  while (!ranges.empty()) {
    const size_t comma = std::min(ranges.find(','), ranges.size());
    const auto range = ranges.substr(0, comma);
    const size_t dash = range.find('-');
    count += dash == std::string_view::npos ? 1 : number_of(range.substr(dash + 1)) - number_of(range) + 1;
    ranges.remove_prefix(std::min(comma + 1, ranges.size()));
  }
  return count;
}

std::map<int64_t, int64_t> huge_pages(const std::string& folder) {
  std::map<int64_t, int64_t> pages;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const auto name = entry.path().filename().string();
    constexpr std::string_view kPrefix = "hugepages-";
    const int64_t size = name.starts_with(kPrefix) ? number_of(name.substr(kPrefix.size())) * 1024 : 0;
    if (size > 0) {
      pages[size] = size * number_of(text_of(entry.path().string() + "/nr_hugepages"));
    }
  }
  return pages;
}

void read_memory(const std::string& root, Machine& machine) {
  const auto meminfo = text_of(root + "/proc/meminfo");
  machine.memory = kibibytes(meminfo, "MemTotal:");
  machine.swap = kibibytes(meminfo, "SwapTotal:");
  // The working set of the root cgroup is what is used without inactive file pages. On v2 that cgroup counts nothing;
  // runc and cAdvisor take MemTotal - MemFree for its usage (opencontainers/cgroups fs2/memory.go), and so do we.
  machine.memory_available =
      std::min(machine.memory, kibibytes(meminfo, "MemFree:") + kibibytes(meminfo, "Inactive(file):"));
}

void read_processes(const std::string& root, Machine& machine) {
  const auto most = number_of(text_of(root + "/proc/sys/kernel/pid_max"));
  const auto threads = number_of(text_of(root + "/proc/sys/kernel/threads-max"));
  machine.processes = most == 0 || threads == 0 ? std::max(most, threads) : std::min(most, threads);
  const auto load = text_of(root + "/proc/loadavg");  // "0.2 0.2 0.2 1/345 6789"
  const size_t slash = load.find('/');
  const int64_t now = slash == std::string::npos ? 0 : number_of(std::string_view(load).substr(slash + 1));
  machine.processes_available = std::max<int64_t>(machine.processes - now, 0);
}

void read_storage(const std::string& folder, Machine& machine) {
  struct statvfs stats{};
  if (::statvfs(folder.c_str(), &stats) != 0) {
    return;
  }
  const auto block = static_cast<int64_t>(stats.f_frsize);
  machine.storage = static_cast<int64_t>(stats.f_blocks) * block;
  machine.storage_available = static_cast<int64_t>(stats.f_bavail) * block;
  machine.inodes = static_cast<int64_t>(stats.f_files);
  machine.inodes_free = static_cast<int64_t>(stats.f_ffree);
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  return text;
}

}  // namespace

Machine read_identity(const std::string& root) {
  Machine machine;
  machine.machine_id = text_of(root + "/etc/machine-id");
  if (machine.machine_id.empty()) {
    machine.machine_id = text_of(root + "/var/lib/dbus/machine-id");
  }
  machine.system_uuid = lower(text_of(root + "/sys/class/dmi/id/product_uuid"));
  if (machine.system_uuid.empty()) {
    machine.system_uuid = machine.machine_id;
  }
  machine.boot_id = text_of(root + "/proc/sys/kernel/random/boot_id");
  struct utsname name{};
  ::uname(&name);
  machine.kernel_version = name.release;
  machine.architecture = go_architecture(name.machine);
  machine.os_image = os_image(root);
  return machine;
}

Machine read_machine(const std::string& root, const std::string& state_dir) {
  Machine machine = read_identity(root);
  machine.cpus = count_of_range(text_of(root + "/sys/devices/system/cpu/online"));
  read_memory(root, machine);
  machine.huge_pages = huge_pages(root + "/sys/kernel/mm/hugepages");
  read_storage(state_dir, machine);
  read_processes(root, machine);
  return machine;
}

}  // namespace keelson::agent
