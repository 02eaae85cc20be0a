// SPDX-License-Identifier: Apache-2.0
// What grows with the number of pods that have come and gone.
#pragma once

#include "tests/chaos/node.h"

namespace keelson::chaos {

/// Starts and removes `pods` pods of one container, 8 at a time; prints a table on the way. False if at the end
/// anything is there that was not after the first 100, or private memory has grown by more than 2 MiB since the first
/// tenth.
bool run_many_pods(Node& node, int pods);

}  // namespace keelson::chaos
