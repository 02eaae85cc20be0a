// SPDX-License-Identifier: Apache-2.0
// AppArmor of this machine's kernel.
#pragma once

namespace keelson {

/// Whether the kernel has it and it is on, as the kubelet and containerd find out.
bool apparmor_is_on();

}  // namespace keelson
