// SPDX-License-Identifier: Apache-2.0
// The addresses of this host, as others reach it.
#pragma once

#include <string>
#include <vector>

namespace keelson {

/// What the links that are up have, but loopback and what only reaches a link; IPv4 first, else in the kernel's order.
std::vector<std::string> host_addresses();

/// Of all links, whatever they are, in the kernel's order.
std::vector<std::string> own_addresses();

/// That from which this host speaks to others in general: of its default route of IPv4, or `six`. Sends nothing. Empty:
/// there is no such route.
std::string address_of_default_route(bool six);

}  // namespace keelson
