// SPDX-License-Identifier: Apache-2.0
// Device nodes of a container.
//
// An image or a volume can have anything at /dev/null or /dev/ptmx; whoever opens or mounts those without a look does
// it to a file of the attacker's choice (CVE-2025-31133, CVE-2025-52565). So every use checks type and number.
#pragma once

#include "common/fd.h"
#include "cri/shim/protocol.h"
#include "cri/shim/user_namespace.h"

namespace keelson::cri::shim {

/// Makes a node inside `root`, or gives owner and mode to the very same one that is there already; Kind::invalid if
/// something else is there. Its owner is given as a number of the user namespace.
Result<> make_device(int root, const Device& device, const UserNamespace& users);
/// /dev/fd, stdin, stdout, stderr, ptmx. What is there already stays.
Result<> make_device_links(int root);

/// Opens the container's own /dev/null, from inside. Kind::invalid if it is not that device, or a link.
Result<Fd> open_null(int flags);
/// Opens a new terminal's master by the container's own /dev/ptmx, from inside. Kind::invalid if that is not the
/// multiplexer of a devpts.
Result<Fd> open_terminal_master();

}  // namespace keelson::cri::shim
