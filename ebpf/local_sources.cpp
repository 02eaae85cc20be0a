// SPDX-License-Identifier: Apache-2.0
#include "ebpf/local_sources.h"

#include <bpf/bpf.h>

#include <algorithm>
#include <cstring>

#include "ebpf/tables.h"

namespace keelson::ebpf {
namespace {

kl_range_key row_of(const dataplane::Prefix& prefix) {
  const uint32_t family_bits = prefix.address.is_v4() ? 96 : 0;
  return {32 + family_bits + prefix.length, KL_LOCAL_SOURCES, to_kl(prefix.address)};
}

}  // namespace

Result<> add_local_sources(int map, const std::vector<dataplane::Prefix>& sources) {
  const uint32_t one = 1;
  for (const auto& prefix : sources) {
    auto key = row_of(prefix);
    if (bpf_map_update_elem(map, &key, &one, BPF_ANY) != 0) {
      return fail_errno(errno, "local source {}", prefix.to_string());
    }
  }
  return {};
}

Result<> remove_local_sources_but(int map, const std::vector<dataplane::Prefix>& sources) {
  auto wanted = [&](const kl_range_key& row) {
    return std::ranges::any_of(sources, [&](const dataplane::Prefix& prefix) {
      auto own = row_of(prefix);
      return std::memcmp(&own, &row, sizeof row) == 0;
    });
  };
  std::vector<kl_range_key> gone;
  kl_range_key row{}, next{};
  for (const kl_range_key* last = nullptr; bpf_map_get_next_key(map, last, &next) == 0; last = &row) {
    row = next;
    if (row.ranges == KL_LOCAL_SOURCES && !wanted(row)) {
      gone.push_back(row);
    }
  }
  for (const auto& key : gone) {
    if (bpf_map_delete_elem(map, &key) != 0 && errno != ENOENT) {
      return fail_errno(errno, "remove local source {}/{}", from_kl(key.address).to_string(), key.bits - 32);
    }
  }
  return {};
}

}  // namespace keelson::ebpf
