// SPDX-License-Identifier: Apache-2.0
// A container's file system, made inside its own mount namespace: the node sees none of these mounts.
#pragma once

#include <functional>
#include <vector>

#include "common/fd.h"
#include "cri/shim/protocol.h"
#include "cri/shim/user_namespace.h"

namespace keelson::cri::shim {

/// What enter_rootfs() left for finish_rootfs(): procfs, and what goes on it.
struct RestOfRootfs {
  struct Part {
    size_t mount;  ///< number in ContainerSpec::mounts
    Fd copy;       ///< of a bind mount's source
  };
  std::vector<Part> mounts;
  std::vector<std::string> masked;
  std::vector<std::string> read_only;
};

/// Mounts the root and everything in it and makes it "/" (pivot_root(2)). The calling process must be alone in a new
/// mount namespace, with the node's user namespace and, where there is one, as make_files_as() root of `users`; after
/// an error it is good for nothing but to tell it. The error names the step and the path. Order: root overlay, mounts,
/// devices, pivot, masked and read-only paths, read-only root.
/// With `leave_proc` all of procfs is left to finish_rootfs(), where it is another process' to see.
Result<RestOfRootfs> enter_rootfs(const ContainerSpec& spec, const UserNamespace& users, bool leave_proc);

/// Makes the rest from inside: `make_proc` gives a detached procfs with these flags (MS_*).
Result<> finish_rootfs(const ContainerSpec& spec, const RestOfRootfs& rest, const UserNamespace& users,
                       const std::function<Result<Fd>(uint64_t flags)>& make_proc);

}  // namespace keelson::cri::shim
