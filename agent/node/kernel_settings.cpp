// SPDX-License-Identifier: Apache-2.0
#include "agent/node/kernel_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "common/fd.h"
#include "common/log.h"
#include "common/sysctl_name.h"

namespace keelson::agent {

namespace {

struct Wanted {
  const char* name;
  const char* value;
};
constexpr Wanted kWanted[] = {
    {"vm.overcommit_memory", "1"},
    {"vm.panic_on_oom", "0"},
    {"kernel.panic", "10"},
    {"kernel.panic_on_oops", "1"},
    {"kernel.keys.root_maxkeys", "1000000"},
    {"kernel.keys.root_maxbytes", "25000000"},
};

}  // namespace

Result<> apply_kernel_settings(const std::string& root, KernelSettings what) {
  if (what == KernelSettings::leave) {
    return {};
  }
  std::string wrong;
  for (const auto& [name, value] : kWanted) {
    const auto file = root + sysctl_path(name).value();
    auto now = read_file(file).value_or("nothing");
    now.erase(std::min(now.find('\n'), now.size()));
    if (now == value) {
      continue;
    }
    if (what == KernelSettings::require) {
      wrong += fmt::format("{}{} is {}, not {}", wrong.empty() ? "" : ", ", name, now, value);
    } else if (auto written = write_value(file, value); written) {
      log::info("{} was {}, and is {} now (protectKernelDefaults: false)", name, now, value);
    } else {
      log::warning("{} is {}, not {}: {}", name, now, value, written.error().message());
    }
  }
  if (!wrong.empty()) {
    return fail(Kind::conflict, "protectKernelDefaults: {}; set them with sysctl", wrong);
  }
  return {};
}

Result<> refuse_swap(const std::string& root) {
  const auto file = root + "/proc/swaps";
  std::istringstream lines(read_file(file).value_or(""));
  std::string line;
  std::getline(lines, line);  // the table's head
  std::string places;
  while (std::getline(lines, line)) {
    places += (places.empty() ? "" : ", ") + line.substr(0, line.find_first_of(" \t"));
  }
  if (!places.empty()) {
    return fail(Kind::conflict,
                "running with swap on is not supported: {}; disable it (swapoff -a), or set failSwapOn to false "
                "(--fail-swap-on=false)",
                places);
  }
  return {};
}

}  // namespace keelson::agent
