// SPDX-License-Identifier: Apache-2.0
// selinux.h.
#include "common/selinux.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>
#include <string_view>

#include "common/fd.h"

namespace keelson {

bool selinux_is_on() {
  struct statfs info{};
  if (::statfs("/sys/fs/selinux", &info) < 0 || info.f_type != SELINUX_MAGIC) {
    return false;
  }
  // Without a policy all is the kernel's.
  auto context = read_file("/proc/self/attr/current").value_or("kernel");
  context.erase(std::min(context.find_first_of(std::string_view("\0\n", 2)), context.size()));
  return context != "kernel";
}

}  // namespace keelson
