// SPDX-License-Identifier: Apache-2.0
// The user namespace that CRI asks for: NamespaceOption.userns_options of a sandbox (KEP-127).
#pragma once

#include <vector>

#include "common/result.h"
#include "cri/proto/record.pb.h"
#include "cri/shim/protocol.h"

namespace keelson::cri {

/// Both are empty, or both have one entry.
struct IdMappings {
  std::vector<shim::IdMapping> uids;
  std::vector<shim::IdMapping> gids;
  bool empty() const { return uids.empty(); }
};

/// What a sandbox's options ask for; mode NODE, and POD without mappings, ask for nothing. As containerd: one mapping
/// of users and one of groups, id 0 among them, and none of the node's namespaces beside it. Kind::invalid names the
/// field, below userns_options.
Result<IdMappings> id_mappings(const ::runtime::v1::NamespaceOption& options);

/// The id inside the user namespace that is `host` on the node, as the kernel shows it there: an id that is not mapped
/// is 65534 (user_namespaces(7)). Without mappings an id is itself.
uint32_t inside_id(const std::vector<shim::IdMapping>& mappings, uint32_t host);

/// Whether a container's options agree with its sandbox': the same, or nothing.
Result<> check_same(const ::runtime::v1::NamespaceOption& container, const IdMappings& sandbox);

/// Whether a mount's mappings are the sandbox'; true if it has some: its owners are to be mapped.
Result<bool> wants_owners_mapped(const ::runtime::v1::Mount& mount, const IdMappings& sandbox);

}  // namespace keelson::cri
