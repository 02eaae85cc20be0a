// SPDX-License-Identifier: Apache-2.0
// The small files that every container of a sandbox sees: resolv.conf, hostname, hosts.
#pragma once

#include <string>

#include "common/result.h"
#include "cri/proto/sandbox.pb.h"

namespace keelson::cri {

/// resolv.conf of a DNSConfig; empty config: nullopt-like empty text, the node's own file is then used.
std::string resolv_conf(const ::runtime::v1::DNSConfig& dns);

/// Makes `dir` with hostname, hosts and resolv.conf in it, unless they are there.
Result<> provide_sandbox_files(const std::string& dir, const ::runtime::v1::PodSandboxConfig& config);

}  // namespace keelson::cri
