// SPDX-License-Identifier: Apache-2.0
// What the kubelet asks of a machine's kernel before it is a node (pkg/kubelet/cm/container_manager_linux.go,
// setupKernelTunables; pkg/kubelet/util/swap).
#pragma once

#include <string>

#include "common/result.h"

namespace keelson::agent {

enum class KernelSettings {
  leave,    ///< Whatever they are.
  set,      ///< protectKernelDefaults: false
  require,  ///< protectKernelDefaults: true
};

/// vm.overcommit_memory=1, vm.panic_on_oom=0, kernel.panic=10, kernel.panic_on_oops=1, kernel.keys.root_maxkeys=1000000
/// and kernel.keys.root_maxbytes=25000000. Kind::conflict, with `require`: the names and values of those that are
/// otherwise. Where one cannot be written (a read-only /proc/sys) that is logged, and all goes on. `root` is put before
/// /proc: "" for this machine, a folder for a test.
Result<> apply_kernel_settings(const std::string& root, KernelSettings what);

/// Kind::conflict: swap is on, and where; what to do about it.
Result<> refuse_swap(const std::string& root);

}  // namespace keelson::agent
