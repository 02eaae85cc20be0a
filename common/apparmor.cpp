// SPDX-License-Identifier: Apache-2.0
// apparmor.h.
#include "common/apparmor.h"

#include <unistd.h>

#include "common/fd.h"

namespace keelson {

bool apparmor_is_on() {
  return ::access("/sys/kernel/security/apparmor", F_OK) == 0 &&
         read_file("/sys/module/apparmor/parameters/enabled").value_or("").starts_with('Y');
}

}  // namespace keelson
