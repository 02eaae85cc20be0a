// SPDX-License-Identifier: Apache-2.0
// The birth of a process that others in its PID namespace can see, and could become by SYS_PTRACE (CVE-2016-9962): it
// is born when everything of the node has been left.
//
//   shim --clone--> first step, outside: cgroups, mounts, root; keeps nothing of the node open
//                     --clone--> the process: told to the shim by the first step, and its child (CLONE_PARENT)
//
// Into a new user namespace there is a step between, which enters it: the first one has still to do for the process
// what needs the node's rights (proc_mount.h).
#pragma once

#include "cri/shim/new_process.h"
#include "cri/shim/sandbox.h"

namespace keelson::cri::shim {

/// A child of our parent's, not of ours (CLONE_PARENT); -1 and errno, as clone3(2).
pid_t clone_sibling(uint64_t flags, Fd& pidfd);

/// A container's first step. `pid_namespace`: to be born into; -1: a new one.
struct ContainerBirth {
  const ContainerSpec& spec;
  const ChildStdio& stdio;
  const Fd& channel;
  const UserNamespace& users;
  int pid_namespace;
};
[[noreturn]] void bear_container(const ContainerBirth& birth);

/// An exec's first step. `container`: a pidfd of the container's first process.
struct ExecBirth {
  const ContainerSpec& spec;
  const ProcessSpec& process;
  const ChildStdio& stdio;
  const Fd& channel;
  const UserNamespace& users;
  int container;
};
[[noreturn]] void bear_exec(const ExecBirth& birth);

}  // namespace keelson::cri::shim
