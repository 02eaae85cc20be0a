// SPDX-License-Identifier: Apache-2.0
// capabilities.h.
#include "cri/runtime/capabilities.h"

#include <linux/capability.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "common/fd.h"
#include "cri/shim/capability_names.h"

namespace keelson::cri {

namespace {

static_assert(std::size(shim::kCapabilityNames) == CAP_CHECKPOINT_RESTORE + 1);

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
  const auto* found = std::ranges::find(shim::kCapabilityNames, plain);
  if (found == std::end(shim::kCapabilityNames)) {
    return fail(Kind::invalid, "unknown capability \"{}\"", name);
  }
  return static_cast<int>(found - std::begin(shim::kCapabilityNames));
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
