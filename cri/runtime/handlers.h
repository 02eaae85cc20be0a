// SPDX-License-Identifier: Apache-2.0
// RuntimeClass handlers: which there are, and what a container of one is made of beyond ours.
//
// A pod of another handler differs in its containers alone. Its shim, network, cgroups and files are ours; the shim has
// the OCI runtime make the containers (cri/shim/oci), each for itself: to a runtime that isolates by a virtual machine,
// each is a machine of its own in the pod's network namespace.
#pragma once

#include <string>

#include "cri/runtime/parts.h"
#include "cri/runtime/spec.h"

namespace keelson::cri {

/// The handler that a pod asks for; null for ours ("" and "keelson"). Kind::invalid if there is none of that name.
Result<const RuntimeHandler*> find_handler(const RuntimeOptions& options, const std::string& name);

/// Whether its program is there. The error names the path.
Result<> check_runnable(const RuntimeHandler& handler);

/// Runs `RUNTIME features` (OCI runtime-spec features.md). A runtime that does not know the command has none.
HandlerFeatures ask_features(const RuntimeHandler& handler);
/// What is in the answer; whatever is missing is not there.
HandlerFeatures features_of(const std::string& json);

/// Turns `spec`, ready for the shim, into one for the runtime, and makes the folders of its bundle. The limits of the
/// container's cgroup are set already; the runtime is told those that size a machine.
Result<> give_to_handler(const Parts& parts, const RuntimeHandler& handler, const ContainerRecord& record,
                         const SpecInput& input, shim::ContainerSpec& spec);

/// Has the runtime `update` a container to limits that its cgroup has already: a machine is to change its size, too.
/// Nothing to do is success.
Result<> update_by_handler(const Parts& parts, const Sandbox& sandbox, const std::string& container_id,
                           const ::runtime::v1::LinuxContainerResources& limits);

/// Has the runtime delete a container that it still knows after its shim has gone. Nothing to do is success; so is a
/// sandbox of ours. What a handler that is configured no longer has left is removed as files.
Result<> forget_by_handler(const Parts& parts, const Sandbox& sandbox, const std::string& container_id);

}  // namespace keelson::cri
