// SPDX-License-Identifier: Apache-2.0
// User namespaces: made, entered, and the ids in them (user_namespaces(7), mount_setattr(2)).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/fd.h"
#include "cri/shim/protocol.h"

namespace keelson::cri::shim {

/// A sandbox's user namespace, or none: then the ids are the node's.
struct UserNamespace {
  Fd fd;
  std::vector<IdMapping> uids;
  std::vector<IdMapping> gids;

  explicit operator bool() const { return static_cast<bool>(fd); }
  /// The node's number for a number in the namespace; that of 0 for one that is not mapped.
  uint32_t node_uid(uint32_t uid) const;
  uint32_t node_gid(uint32_t gid) const;
};

/// New namespaces, all of one user namespace.
struct Namespaces {
  Fd user;
  Fd network;
  Fd ipc;
  Fd uts;
};

/// A user namespace with these ids, and a network, IPC and UTS namespace that it owns. They live as long as they are
/// open, or somebody is in them. Needs root; the caller may have threads.
Result<Namespaces> make_namespaces(const std::vector<IdMapping>& uids, const std::vector<IdMapping>& gids);

/// From now on this process makes files as that user and group of the node, and may else what it could.
Result<> make_files_as(uint32_t uid, uint32_t gid);

/// User and group 0 of the user namespace that this process has just entered.
Result<> become_namespace_root();

/// Makes the detached mounts at the top of `tree` (open_tree(2)) show their owners' numbers as those of `user`.
/// Kind::unsupported if the file system cannot.
Result<> map_owners(int tree, int user);

/// Whether a container can have a user namespace of its own with its root below `path`: the kernel lets us make one,
/// and the file system there has idmapped mounts. The reason, if not.
Result<> try_user_namespace(const std::string& path);

}  // namespace keelson::cri::shim
