// SPDX-License-Identifier: Apache-2.0
// Inside a new process: the steps on its side, from the shim's rights to the container's program.
#pragma once

#include <vector>

#include "cri/shim/child.h"
#include "cri/shim/node_proc.h"

namespace keelson::cri::shim {

/// As a program expects to find them: the shim's are not the container's.
void reset_signals();

/// Into the cgroups of v1; into that of v2 a process is born (see child.cpp).
Result<> join_cgroups(const std::vector<std::string>& procs);

/// A container's first process, while it has the node's root: its cgroups, and a namespace of them if it is to have
/// one, its OOM score and umask. Answers the node's /proc.
Result<NodeProc> begin_container(const ContainerSpec& spec);

/// Closes everything from 3 on but these.
void close_all_but(std::vector<int> kept);

/// What the new process was told, and what is its own.
struct NewProcess {
  const ProcessSpec& process;
  const ChildStdio& stdio;
  const Fd& channel;
  bool wait;  ///< tells that it is ready, and waits for release()
  const NodeProc& proc;
};

/// From inside the container's root to exec. If something fails it tells the channel.
[[noreturn]] void become(const NewProcess& wanted);

/// Tells the channel, and ends.
[[noreturn]] void end_child(const Fd& channel, const Error& error);

}  // namespace keelson::cri::shim
