// SPDX-License-Identifier: Apache-2.0
#include "metrics/machine_files.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <memory>
#include <set>
#include <sstream>

#include "common/fd.h"

namespace keelson::metrics {

// "major minor name reads merged sectors ms writes merged sectors ms now ms_busy ms_weighted ..."
BlockDevices parse_block_devices(std::string_view text) {
  BlockDevices devices;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::pair<uint32_t, uint32_t> number;
    std::string name;
    std::array<uint64_t, 11> values{};
    fields >> number.first >> number.second >> name;
    for (auto& value : values) {
      fields >> value;
    }
    if (fields) {
      using Time = std::chrono::milliseconds;
      devices[number] = {.name = std::move(name),
                         .reads = {.merged = values[1], .sectors = values[2], .time = Time(values[3])},
                         .writes = {.merged = values[5], .sectors = values[6], .time = Time(values[7])},
                         .in_progress = values[8],
                         .busy = Time(values[9]),
                         .weighted = Time(values[10])};
    }
  }
  return devices;
}

std::pair<unsigned, unsigned> read_topology(const std::string& folder) {
  std::set<std::string> sockets;
  std::set<std::pair<std::string, std::string>> cores;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    const auto socket = read_file(entry.path() / "topology/physical_package_id");
    const auto core = read_file(entry.path() / "topology/core_id");
    if (socket && core) {
      sockets.insert(*socket);
      cores.insert({*socket, *core});
    }
  }
  return {static_cast<unsigned>(cores.size()), static_cast<unsigned>(sockets.size())};
}

// "4:memory:/path", "1:cpu,cpuacct:/path", or v2's "0::/path".
std::string parse_cgroup(std::string_view text) {
  std::string memory;
  std::string cpu;
  std::string second;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    const auto first = line.find(':');
    const auto next = first == line.npos ? line.npos : line.find(':', first + 1);
    if (next == line.npos) {
      continue;
    }
    const auto controllers = "," + line.substr(first + 1, next - first - 1) + ",";
    const auto path = line.substr(next + 1);
    memory = controllers.find(",memory,") != line.npos ? path : memory;
    cpu = controllers.find(",cpu,") != line.npos ? path : cpu;
    second = controllers == ",," ? path : second;
  }
  memory = memory.empty() ? second : memory;
  cpu = cpu.empty() ? second : cpu;
  return memory == cpu && memory != "/" ? memory : "";
}

WallTime start_of(pid_t process, WallTime booted) {
  const auto text = read_file(fmt::format("/proc/{}/stat", process)).value_or("");
  const auto behind = text.rfind(')');  // the command may hold blanks
  if (behind == text.npos) {
    return {};
  }
  std::istringstream fields(text.substr(behind + 1));
  std::string field;
  for (int number = 3; number <= 22; ++number) {
    fields >> field;
  }
  const double ticks = std::strtod(field.c_str(), nullptr) / static_cast<double>(::sysconf(_SC_CLK_TCK));
  return booted + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(ticks));
}

void add_files(pid_t process, ProcessUse& use) {
  const auto folder = fmt::format("/proc/{}/fd", process);
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(folder.c_str()), &::closedir);
  while (const auto* entry = listing ? ::readdir(listing.get()) : nullptr) {
    std::array<char, 8> target{};
    const ssize_t length = entry->d_name[0] == '.'
                               ? -1
                               : ::readlinkat(::dirfd(listing.get()), entry->d_name, target.data(), target.size());
    use.files += length >= 0 ? 1 : 0;
    use.sockets += length > 0 && std::string_view(target.data(), static_cast<size_t>(length)).starts_with("socket:");
  }
}

std::optional<int64_t> most_files_of(pid_t process) {
  rlimit limit{};
  if (::prlimit(process, RLIMIT_NOFILE, nullptr, &limit) != 0) {
    return std::nullopt;
  }
  return limit.rlim_cur == RLIM_INFINITY ? -1 : static_cast<int64_t>(limit.rlim_cur);
}

}  // namespace keelson::metrics
