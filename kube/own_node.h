// SPDX-License-Identifier: Apache-2.0
// A Node as the agent that runs on it watches it.
#pragma once

#include "kube/node.h"
#include "kube/quantity.h"

namespace keelson::kube {

struct OwnNode : Node {
  ResourceList allocatable;  ///< What pods may take of it.
  bool operator==(const OwnNode&) const = default;
};

}  // namespace keelson::kube
