// SPDX-License-Identifier: Apache-2.0
// A new process of a container, from clone to exec: the named steps on both sides of the socket between shim and child.
#pragma once

#include <optional>
#include <string>

#include "common/fd.h"
#include "cri/shim/protocol.h"
#include "cri/shim/sandbox.h"

namespace keelson::cri::shim {

/// The child's descriptors for its streams; empty ones become /dev/null.
struct ChildStdio {
  Fd in;
  Fd out;
  Fd error;
};

/// A child on its way: `channel` is ours to read (see ChildMessage).
struct Child {
  pid_t pid = -1;
  Fd pidfd;
  Fd channel;
  bool first_step = false;  ///< another process will take its place: ChildMessage::What::born
};

/// Clones the first process of a container. It prepares everything, tells `ready` (with the terminal's master if it has
/// a terminal), and waits for release().
Result<Child> clone_container(const ContainerSpec& spec, ChildStdio stdio, const Sandbox& sandbox);

/// Clones a process into a running container (its namespaces and its cgroups) and lets it go at once.
Result<Child> clone_exec(const ContainerSpec& spec, const ProcessSpec& process, ChildStdio stdio, int container_pidfd,
                         const Sandbox& sandbox);

/// What the channel says next. At end of file exec has succeeded, if this was no first step.
struct ChildMessage {
  enum class What : uint8_t { born, ready, failed, executed } what = What::executed;
  Error error{Kind::internal, ""};
  Fd descriptor;   ///< ready: the terminal's master, if it has one; born: its pidfd
  pid_t pid = -1;  ///< born
};

/// Reads one message; nothing if none is there yet. The channel does not block.
Result<std::optional<ChildMessage>> read_child(int channel);

/// Lets a ready child exec.
Result<> release(int channel);

}  // namespace keelson::cri::shim
