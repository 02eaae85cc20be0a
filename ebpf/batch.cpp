// SPDX-License-Identifier: Apache-2.0
#include "ebpf/batch.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace keelson::ebpf {

Result<> update_batch(int map, const void* keys, const void* values, uint32_t count) {
  if (count == 0) {
    return {};
  }
  uint32_t done = count;
  if (bpf_map_update_batch(map, keys, values, &done, nullptr) != 0) {
    if (errno == E2BIG || errno == ENOSPC) {
      return fail(Kind::exhausted, "the table is full after {} of {} rows", done, count);
    }
    return fail_errno(errno, "write {} rows", count);
  }
  return {};
}

Result<> delete_batch(int map, const void* keys, uint32_t key_size, uint32_t count) {
  auto key = static_cast<const char*>(keys);
  while (count > 0) {
    uint32_t done = count;
    if (bpf_map_delete_batch(map, key, &done, nullptr) == 0) {
      return {};
    }
    if (errno != ENOENT) {
      return fail_errno(errno, "delete {} rows", count);
    }
    // It stopped at a row that is not there: go on behind it.
    key += (done + 1) * key_size;
    count -= done + 1;
  }
  return {};
}

Result<> for_each_row(int map, uint32_t key_size, uint32_t value_size,
                      const std::function<void(const void*, const void*)>& visit) {
  std::vector<char> keys, values;
  // What the kernel goes on from: a number, or a key.
  std::vector<char> position(std::max<size_t>(key_size, 8)), next(position.size());
  bool first = true;
  // A bucket does not fit: ask with more room.
  for (uint32_t room = 1024;;) {
    keys.resize(size_t{room} * key_size);
    values.resize(size_t{room} * value_size);
    uint32_t count = room;
    int failed = bpf_map_lookup_batch(map, first ? nullptr : position.data(), next.data(), keys.data(), values.data(),
                                      &count, nullptr);
    if (failed && errno == ENOSPC) {
      room *= 2;
      continue;
    }
    if (failed && errno != ENOENT) {
      return fail_errno(errno, "read the table");
    }
    for (uint32_t i = 0; i < count; i++) {
      visit(keys.data() + i * key_size, values.data() + i * value_size);
    }
    if (failed) {
      return {};
    }
    position = next;
    first = false;
  }
}

}  // namespace keelson::ebpf
