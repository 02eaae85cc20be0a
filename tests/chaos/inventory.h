// SPDX-License-Identifier: Apache-2.0
// What is there of a node's pods, by each of three witnesses: CRI, the store, the kernel.
#pragma once

#include <sys/types.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/chaos/node.h"

namespace keelson::chaos {

using Ids = std::set<std::string>;

/// What CRI lists.
struct Listed {
  Ids ready;         ///< sandboxes
  Ids not_ready;     ///< sandboxes
  Ids host_network;  ///< those of both that have no network of their own
  std::map<std::string, v1::ContainerState> containers;
  Ids foreign;  ///< those of them that another OCI runtime has made: it takes the cgroup with it when they end
};
/// False if the runtime does not answer.
bool list(const Node& node, Listed* out);

/// What runtime.db holds. Only while no daemon runs: the file is its own.
struct Stored {
  Ids sandboxes;
  Ids containers;
};
Stored stored(const Node& node);

/// What the kernel and the folders have, by sandbox or container id.
struct Found {
  Ids shims;       ///< keelson-shim processes
  Ids namespaces;  ///< pinned
  Ids memories;    ///< shared memory, mounted
  Ids sandbox_folders;
  Ids sandbox_files;
  Ids container_folders;
  Ids cgroups;   ///< in any hierarchy
  Ids occupied;  ///< cgroups with a process in any hierarchy
  Ids known_to_runc;
  Ids leases;
  Ids results;       ///< the CNI cache's
  size_t links = 0;  ///< veths on the node's side
};
Found found(const Node& node);

/// One line for each disagreement; empty when all agree.
std::vector<std::string> disagreements(const Listed& listed, const Found& found);
std::vector<std::string> disagreements(const Listed& listed, const Stored& stored);

/// Everything that belongs to pods, shims and containers, the daemon not.
std::vector<pid_t> processes_of(const Node& node);
std::vector<std::string> mounts_of(const Node& node);
/// For a node without pods: what is still there, a line each.
std::vector<std::string> leftovers(const Node& node);

}  // namespace keelson::chaos
