// SPDX-License-Identifier: Apache-2.0
#include "network/preflight/capabilities.h"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace keelson::network {
namespace {

constexpr NeededCapability kNeeded[] = {
    {CAP_BPF, "CAP_BPF", "to load programs and make maps"},
    {CAP_NET_ADMIN, "CAP_NET_ADMIN", "to attach them to links and cgroups"},
    {CAP_PERFMON, "CAP_PERFMON", "for programs that read packets by pointers"},
};

}  // namespace

std::span<const NeededCapability> needed_capabilities() {
  return kNeeded;
}

Result<std::vector<NeededCapability>> missing_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (syscall(SYS_capget, &header, data) != 0) {
    return fail_errno(errno, "read our capabilities");
  }
  auto has = [&](int number) { return (data[number / 32].effective >> (number % 32) & 1) != 0; };
  std::vector<NeededCapability> missing;
  for (const auto& needed : kNeeded) {
    bool by_admin = needed.number != CAP_NET_ADMIN && has(CAP_SYS_ADMIN);
    if (!has(needed.number) && !by_admin) {
      missing.push_back(needed);
    }
  }
  return missing;
}

}  // namespace keelson::network
