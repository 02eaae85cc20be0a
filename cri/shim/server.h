// SPDX-License-Identifier: Apache-2.0
// The shim's one loop: connections, children, output.
#pragma once

#include "cri/shim/listener.h"
#include "cri/shim/sandbox.h"

namespace keelson::cri::shim {

/// Serves until a shutdown request. Single-threaded; SIGCHLD must be blocked.
void serve(Sandbox& sandbox, Listener listener);

}  // namespace keelson::cri::shim
