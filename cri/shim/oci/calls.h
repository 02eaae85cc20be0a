// SPDX-License-Identifier: Apache-2.0
// What the shim has an OCI runtime do for a container.
//
// Each call is a child of the shim that runs one command of the runtime (`RUNTIME --root DIR create ...`) and tells how
// it went by its channel (read_child): `ready`, with the terminal's master if there is one, or `failed`; an end without
// a word means that it was killed. Killing the child kills the runtime's process. What the runtime leaves running
// becomes a child of the shim, its subreaper.
//
// The bundle of a container (OciRuntime::bundle_dir): config.json, rootfs/ (a mount point, empty to the node), user
// (who the process is, for execs), pid, and <exec>.json, <exec>.pid while an exec is made.
#pragma once

#include <string>

#include "cri/shim/child.h"
#include "cri/shim/protocol.h"
#include "cri/shim/sandbox.h"

namespace keelson::cri::shim::oci {

inline bool made_by_runtime(const ContainerSpec& spec) {
  return !spec.oci.command.empty();
}

/// Mounts the root, writes the bundle, `create`. The overlay and what is shared with the node are mounted in a mount
/// namespace of the child, which the container's own is a copy of: with the child and the container they are gone. A
/// create that fails is taken back by `delete --force`.
Result<Child> call_create(const ContainerSpec& spec, ChildStdio stdio, const Sandbox& sandbox);
Result<Child> call_start(const ContainerSpec& spec);
/// `exec --detach`. Who runs it is the container's user.
Result<Child> call_exec(const ContainerSpec& spec, const std::string& exec_id, const ProcessSpec& process,
                        ChildStdio stdio);
Result<Child> call_kill(const ContainerSpec& spec, int number);
/// `delete --force`; a container that the runtime does not know is success.
Result<Child> call_delete(const ContainerSpec& spec);

/// After a create (`exec_id` is empty) or an exec: the process that the runtime has made, and its file is removed.
Result<pid_t> take_pid(const ContainerSpec& spec, const std::string& exec_id);

/// Waits for a call's end, and gives what it has told.
Result<> await_call(Child call, int limit_ms);
/// SIGKILL, and reaped.
void end_call(const Child& call);

}  // namespace keelson::cri::shim::oci
