// SPDX-License-Identifier: Apache-2.0
// Which kernel parameters a sandbox may set: those that are its own.
#pragma once

#include "common/result.h"
#include "cri/proto/api.pb.h"

namespace keelson::cri {

/// Kind::invalid names the first of linux.sysctls that would change the node, and not the sandbox alone. As runc: what
/// IPC namespaces have (kernel.sem, kernel.msg*, kernel.shm*, fs.mqueue.*) with one of its own, net.* with a network of
/// its own, kernel.domainname with a UTS namespace of its own; never kernel.hostname, which has its own field.
/// Both spellings of a name are understood (sysctl.d(5)).
Result<> check_sysctls(const ::runtime::v1::PodSandboxConfig& config);

}  // namespace keelson::cri
