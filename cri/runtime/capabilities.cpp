// SPDX-License-Identifier: Apache-2.0
// capabilities.h.
#include "cri/runtime/capabilities.h"

#include <linux/capability.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "common/fd.h"

namespace keelson::cri {

namespace {

// By number: linux/capability.h.
constexpr std::string_view kNames[] = {
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
};
static_assert(std::size(kNames) == CAP_CHECKPOINT_RESTORE + 1);

constexpr Capabilities bit(int capability) {
  return Capabilities{1} << capability;
}

std::string plain_name(std::string_view name) {
  std::string upper(name);
  std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return upper.starts_with("CAP_") ? upper.substr(4) : upper;
}

bool has_all(std::span<const std::string> names) {
  return std::ranges::any_of(names, [](const auto& name) { return plain_name(name) == "ALL"; });
}

}  // namespace

Capabilities all_capabilities() {
  static const Capabilities all = [] {
    int last = CAP_CHECKPOINT_RESTORE;
    if (auto text = read_file("/proc/sys/kernel/cap_last_cap")) {
      last = std::atoi(text->c_str());
    }
    return bit(last + 1) - 1;
  }();
  return all;
}

Capabilities default_capabilities() {
  return bit(CAP_CHOWN) | bit(CAP_DAC_OVERRIDE) | bit(CAP_FSETID) | bit(CAP_FOWNER) | bit(CAP_MKNOD) |
         bit(CAP_NET_RAW) | bit(CAP_SETGID) | bit(CAP_SETUID) | bit(CAP_SETFCAP) | bit(CAP_SETPCAP) |
         bit(CAP_NET_BIND_SERVICE) | bit(CAP_SYS_CHROOT) | bit(CAP_KILL) | bit(CAP_AUDIT_WRITE);
}

Result<int> capability_of_name(std::string_view name) {
  const auto plain = plain_name(name);
  const auto* found = std::ranges::find(kNames, plain);
  if (found == std::end(kNames)) {
    return fail(Kind::invalid, "unknown capability \"{}\"", name);
  }
  return static_cast<int>(found - std::begin(kNames));
}

Result<Capabilities> adjust_capabilities(Capabilities base, std::span<const std::string> add,
                                         std::span<const std::string> drop) {
  auto set = has_all(drop) ? 0 : base;
  if (has_all(add)) {
    set = all_capabilities();
  }
  for (const auto& name : add) {
    if (plain_name(name) != "ALL") {
      KEELSON_TRY(const int capability, capability_of_name(name));
      set |= bit(capability);
    }
  }
  for (const auto& name : drop) {
    if (plain_name(name) != "ALL") {
      KEELSON_TRY(const int capability, capability_of_name(name));
      set &= ~bit(capability);
    }
  }
  return set & all_capabilities();
}

}  // namespace keelson::cri
