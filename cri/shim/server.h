// SPDX-License-Identifier: Apache-2.0
// The shim's one loop: connections, children, output.
#pragma once

#include "common/fd.h"
#include "cri/shim/sandbox.h"

namespace keelson::cri::shim {

/// Listens on <run_dir>/shim.sock.
Result<Fd> listen_in(const std::string& run_dir);

/// Serves until a shutdown request. Single-threaded; SIGCHLD must be blocked.
void serve(Sandbox& sandbox, Fd listener);

}  // namespace keelson::cri::shim
