// SPDX-License-Identifier: Apache-2.0
// Does the API server answer, and may we ask it what the role needs?
#pragma once

#include <string>

#include "common/result.h"

namespace keelson::network {

/// Lists one object of each kind that the role watches. `kubeconfig`: a path, or "in-cluster". Returns where the server
/// is. Kind::permission: it refuses, with the kind of object; unavailable or timeout: it cannot be reached within
/// seconds. Blocks.
Result<std::string> try_api_server(const std::string& kubeconfig);

}  // namespace keelson::network
