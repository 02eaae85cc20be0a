// SPDX-License-Identifier: Apache-2.0
// What maps take, and how full the connection tables are.
#pragma once

#include <cstdint>

#include "common/result.h"
#include "dataplane/model.h"
#include "ebpf/programs.h"

namespace keelson::ebpf {

/// What the kernel says a map takes.
Result<uint64_t> map_bytes(int map);

struct ConnectionLoad {
  uint64_t rows = 0;
  uint64_t live = 0;  ///< Hold a flow whose time is not over; told from a sample of 1,024 rows.
};
Result<ConnectionLoad> connection_load(const Programs& programs, dataplane::Family family);

}  // namespace keelson::ebpf
