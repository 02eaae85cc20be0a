// SPDX-License-Identifier: Apache-2.0
#include "ebpf/map_memory.h"

#include <bpf/bpf.h>
#include <netinet/in.h>
#include <time.h>

#include <algorithm>
#include <sstream>

#include "common/fd.h"
#include "ebpf/bpf/abi.h"

namespace keelson::ebpf {
namespace {

constexpr uint32_t kSampledBuckets = 256;

/// kl_time now.
uint32_t time_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  auto ns = static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
  return static_cast<uint32_t>(ns >> KL_TIME_SHIFT);
}

/// Flows are spread over the buckets by a hash, so that any of them are a fair sample.
template <class Bucket>
Result<ConnectionLoad> sample(int map, uint32_t buckets, const kl_config& config) {
  const uint32_t sampled = std::min(kSampledBuckets, buckets);
  const uint32_t now = time_now();
  uint64_t live = 0;
  Bucket bucket;
  for (uint32_t i = 0; i < sampled; i++) {
    if (bpf_map_lookup_elem_flags(map, &i, &bucket, BPF_F_LOCK) != 0) {
      return fail_errno(errno, "read the connection table");
    }
    for (int way = 0; way < KL_CT_WAYS; way++) {
      const auto& row = bucket.row[way];
      const uint32_t age = now - row.rest.seen;
      live += bucket.tag[way] != 0 && age < config.timeout[row.protocol == IPPROTO_TCP][row.state & 3];
    }
  }
  return ConnectionLoad{uint64_t{buckets} * KL_CT_WAYS, live * buckets / sampled};
}

}  // namespace

Result<uint64_t> map_bytes(int map) {
  KEELSON_TRY(auto text, read_file(fmt::format("/proc/self/fdinfo/{}", map)));
  std::istringstream lines(text);
  for (std::string word; lines >> word;) {
    uint64_t bytes = 0;
    if (word == "memlock:" && lines >> bytes) {
      return bytes;
    }
  }
  return fail(Kind::internal, "/proc/self/fdinfo/{}: no memlock", map);
}

Result<ConnectionLoad> connection_load(const Programs& programs, dataplane::Family family) {
  kl_config config{};
  uint32_t row = 0;
  if (bpf_map_lookup_elem(programs.map("config"), &row, &config) != 0) {
    return fail_errno(errno, "read the configuration map");
  }
  const auto sizes = programs.sizes();
  return family == dataplane::Family::ipv4
             ? sample<kl_ct4_bucket>(programs.map("connections4"), sizes.connections4 / KL_CT_WAYS, config)
             : sample<kl_ct6_bucket>(programs.map("connections6"), sizes.connections6 / KL_CT_WAYS, config);
}

}  // namespace keelson::ebpf
