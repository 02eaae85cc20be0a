// SPDX-License-Identifier: Apache-2.0
// What devices a cgroup may use, on v2: it has no devices controller, but a BPF program that is asked
// (BPF_PROG_TYPE_CGROUP_DEVICE).
#pragma once

#include <string>
#include <vector>

#include "common/result.h"

namespace keelson::cgroup {

/// Nobody in the cgroup `dir`, or below, opens or makes another device than `allowed`, written as for v1's
/// devices.allow: "c 10:200 rwm", "b *:* m", "a" for all. The program lives as long as the cgroup, and needs nobody; a
/// second call replaces that of the first, and leaves those of others (which have to agree). Kind::invalid names a
/// wrong rule.
Result<> attach_device_filter(const std::string& dir, const std::vector<std::string>& allowed);

}  // namespace keelson::cgroup
