// SPDX-License-Identifier: Apache-2.0
// Limits as properties of systemd's units (systemd.resource-control(5), org.freedesktop.systemd1(5)), such as runc and
// the kubelet give them.
//
// systemd writes what its units say whenever it is reloaded or sets anything else; a limit that only the kernel knows
// would be lost then. So each has both: the property, and the file (tree.h).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/cgroup/limits.h"
#include "common/result.h"

namespace keelson::cgroup {

/// One property of a unit, in D-Bus's types: b, t, s, ay, au, as, a(ss).
struct UnitProperty {
  std::string name;
  std::variant<bool, uint64_t, std::string, std::vector<uint8_t>, std::vector<uint32_t>, std::vector<std::string>,
               std::vector<std::pair<std::string, std::string>>>
      value;

  bool operator==(const UnitProperty&) const = default;
};

/// systemd's word for "no limit".
inline constexpr uint64_t kInfinity = UINT64_MAX;

/// The names are v2's or v1's (also of a hybrid node). Of `unified` what systemd knows. Kind::invalid names a limit
/// that cannot be read.
Result<std::vector<UnitProperty>> properties_of(const Limits& limits, bool unified);

/// Rules of devices.allow ("c 1:3 rwm", "c 136:* rw", "b *:* m", "a" for all) as DevicePolicy and DeviceAllow. What
/// systemd has no words for, a minor number of any major, is left out.
std::vector<UnitProperty> device_properties(const std::vector<std::string>& allowed);

/// "0-2,5" as bits, the lowest first: AllowedCPUs, AllowedMemoryNodes.
Result<std::vector<uint8_t>> bits_of(const std::string& list);

/// systemd has quotas in whole hundredths of a CPU: the quota that it will write for this one, which is the next
/// larger.
Limits rounded_for_systemd(Limits limits);

}  // namespace keelson::cgroup
