// SPDX-License-Identifier: Apache-2.0
// SELinux of this machine's kernel.
#pragma once

namespace keelson {

/// Whether the kernel labels what processes do, as the kubelet and runc find out: selinuxfs is there, and a policy has
/// given this process a context.
bool selinux_is_on();

}  // namespace keelson
