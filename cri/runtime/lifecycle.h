// SPDX-License-Identifier: Apache-2.0
// The ways down: stop and remove, of containers and sandboxes. RPCs, the undoing of a failed start and the
// reconciliation at start all go these ways. Everything here is idempotent.
#pragma once

#include <chrono>

#include "cri/runtime/parts.h"

namespace keelson::cri {

/// Its stop signal, then, after `grace`, SIGKILL. Returns when the exit has been told. A container that does not run:
/// success.
Result<> stop_container(Parts& parts, const Located& located, std::chrono::seconds grace);

/// Kills what runs, then takes everything away: process slots, cgroup, writable layer, record.
Result<> remove_container(Parts& parts, const Located& located);

/// NOTREADY from here on; kills all containers, takes the network away (CNI DEL), ends the shim. An error leaves the
/// sandbox such that the call can be repeated, and the next start of the daemon repeats it.
Result<> stop_sandbox(Parts& parts, const std::shared_ptr<Sandbox>& sandbox);

/// Stops it, removes its containers, then itself.
Result<> remove_sandbox(Parts& parts, const std::shared_ptr<Sandbox>& sandbox);

/// The container's end, told by the shim or concluded from its loss. Later calls change nothing.
void record_exit(Parts& parts, const Located& located, const shim::ProcessStatus& status);
/// The shim died: NOTREADY, and whatever ran has EXITED with 137, reason Error.
void record_loss(Parts& parts, const std::string& sandbox_id);

/// Tells listeners of GetContainerEvents, with the statuses as they are now.
void tell(Parts& parts, const Sandbox& sandbox, const std::string& id, ::runtime::v1::ContainerEventType type);

}  // namespace keelson::cri
