// SPDX-License-Identifier: Apache-2.0
// The sources that count as pods of this node, as rows of the map source_ranges (KL_LOCAL_SOURCES).
#pragma once

#include <vector>

#include "common/result.h"
#include "dataplane/address.h"

namespace keelson::ebpf {

/// Adds those that are missing. The error names the prefix; Kind::exhausted: the map is full.
Result<> add_local_sources(int map, const std::vector<dataplane::Prefix>& sources);
/// Takes away all others.
Result<> remove_local_sources_but(int map, const std::vector<dataplane::Prefix>& sources);

}  // namespace keelson::ebpf
