// SPDX-License-Identifier: Apache-2.0
// The node's own addresses.
#pragma once

#include <string>
#include <vector>

namespace keelson::cli {

/// What the links that are up have, but loopback and what only reaches a link; IPv4 first, else in the kernel's order.
std::vector<std::string> node_addresses();

}  // namespace keelson::cli
