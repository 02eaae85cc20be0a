// SPDX-License-Identifier: Apache-2.0
// The addresses of this host, as others reach it.
#pragma once

#include <string>
#include <vector>

namespace keelson {

/// What the links that are up have, but loopback and what only reaches a link; IPv4 first, else in the kernel's order.
std::vector<std::string> host_addresses();

}  // namespace keelson
