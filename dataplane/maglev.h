// SPDX-License-Identifier: Apache-2.0
// Consistent hashing by look-up table: "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, 3.4.
// Nodes that know the same backends fill the same table, in whatever order they learned of them, so a flow that moves
// from node to node stays with its backend.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/model.h"

namespace keelson::dataplane {

struct WeightedBackend {
  Address address;
  uint16_t port = 0;
  uint16_t weight = 1;  ///< Share of the table, in proportion; 0 takes no flow.
};

/// Entries of the table for so many backends: a prime, about a hundred for each (an imbalance of 1 %), from 251 to
/// 65,537.
uint32_t maglev_table_size(size_t backend_count);

/// A table of places in `backends`; `size` is prime. Empty if no backend has weight. Depends on the backends'
/// addresses, ports and weights alone, not on their order but by the places written. When one leaves, its entries move,
/// and some few of the others. Time: size x log(size) on the average. Memory: O(size + backends).
std::vector<uint32_t> maglev_table(std::span<const WeightedBackend> backends, uint32_t size);

}  // namespace keelson::dataplane
