// SPDX-License-Identifier: Apache-2.0
// What was written down against what is there: the first thing a starting runtime does.
#pragma once

#include "cri/runtime/parts.h"

namespace keelson::cri {

/// Fills the table from the records; adopts living shims and takes over what happened meanwhile; marks what died;
/// finishes what a crash left half-made or half-removed; removes folders that nobody knows. An error means that the
/// records cannot be read. What fails for one sandbox is logged, and the others go on.
Result<> reconcile(Parts& parts);

}  // namespace keelson::cri
