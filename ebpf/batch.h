// SPDX-License-Identifier: Apache-2.0
// Many rows of a map with one system call (BPF_MAP_*_BATCH, Linux 5.6).
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "common/result.h"

namespace keelson::ebpf {

/// Writes all rows, over those that are there. `keys` and `values` are packed arrays of `count`. Kind::exhausted: the
/// map is full; rows before that one have been written.
Result<> update_batch(int map, const void* keys, const void* values, uint32_t count);
/// Removes rows; one that is not there is no error.
Result<> delete_batch(int map, const void* keys, uint32_t key_size, uint32_t count);
/// Every row of a map, in no order. Rows that come or go meanwhile may be missed.
Result<> for_each_row(int map, uint32_t key_size, uint32_t value_size,
                      const std::function<void(const void* key, const void* value)>& visit);

}  // namespace keelson::ebpf
