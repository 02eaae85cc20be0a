// SPDX-License-Identifier: Apache-2.0
// Which rights of capabilities(7) the role needs, and which this process has.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "common/result.h"

namespace keelson::network {

struct NeededCapability {
  int number = 0;
  const char* name = "";
  const char* why = "";
};

/// All that the role needs, no more: the same list stands in deploy/kubernetes.
std::span<const NeededCapability> needed_capabilities();

/// Of the needed ones, those that this process does not have in effect. CAP_SYS_ADMIN stands for CAP_BPF and
/// CAP_PERFMON, as the kernel takes it.
Result<std::vector<NeededCapability>> missing_capabilities();

}  // namespace keelson::network
