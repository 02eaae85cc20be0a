// SPDX-License-Identifier: Apache-2.0
#include "dataplane/maglev.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace keelson::dataplane {
namespace {

constexpr std::array<uint32_t, 9> kSizes{251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65537};
constexpr uint32_t kEntriesPerBackend = 100;
constexpr uint32_t kFree = UINT32_MAX;

// FNV-1a with a finisher: fixed for ever, because nodes of different versions must fill the same table.
uint64_t hash(const WeightedBackend& backend, uint64_t seed) {
  uint64_t h = 0xcbf29ce484222325ull ^ seed;
  auto add = [&](uint8_t byte) { h = (h ^ byte) * 0x100000001b3ull; };
  for (uint8_t byte : backend.address.bytes) {
    add(byte);
  }
  add(static_cast<uint8_t>(backend.port >> 8));
  add(static_cast<uint8_t>(backend.port));
  h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdull;
  h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53ull;
  return h ^ (h >> 33);
}

struct Walk {
  uint32_t backend;
  uint32_t position;  // The next entry this backend would like.
  uint32_t skip;
  uint32_t weight;
  uint32_t credit = 0;
};

std::vector<Walk> walks(std::span<const WeightedBackend> backends, uint32_t size) {
  std::vector<Walk> result;
  for (uint32_t i = 0; i < backends.size(); i++) {
    const auto& backend = backends[i];
    if (backend.weight == 0) {
      continue;
    }
    auto position = static_cast<uint32_t>(hash(backend, 0) % size);
    auto skip = static_cast<uint32_t>(hash(backend, 0x9e3779b97f4a7c15ull) % (size - 1) + 1);
    result.push_back({i, position, skip, backend.weight});
  }
  std::ranges::sort(result, {},
                    [&](const Walk& w) { return std::pair(backends[w.backend].address, backends[w.backend].port); });
  return result;
}

}  // namespace

uint32_t maglev_table_size(size_t backend_count) {
  auto wanted = backend_count * kEntriesPerBackend;
  auto size = std::ranges::find_if(kSizes, [&](uint32_t s) { return s >= wanted; });
  return size == kSizes.end() ? kSizes.back() : *size;
}

std::vector<uint32_t> maglev_table(std::span<const WeightedBackend> backends, uint32_t size) {
  auto turns = walks(backends, size);
  if (turns.empty()) {
    return {};
  }
  auto heaviest = std::ranges::max(turns, {}, &Walk::weight).weight;
  std::vector<uint32_t> table(size, kFree);
  for (uint32_t filled = 0; filled < size;) {
    for (auto& turn : turns) {
      // The heaviest takes an entry each round, one of half its weight every second.
      turn.credit += turn.weight;
      if (turn.credit < heaviest) {
        continue;
      }
      turn.credit -= heaviest;
      while (table[turn.position] != kFree) {
        turn.position = (turn.position + turn.skip) % size;
      }
      table[turn.position] = turn.backend;
      if (++filled == size) {
        break;
      }
    }
  }
  return table;
}

}  // namespace keelson::dataplane
