// SPDX-License-Identifier: Apache-2.0
// The two spellings of a kernel parameter's name (sysctl.d(5)): where the first separator is a slash, dots stand inside
// words ("net/ipv4/conf/eth0.100/forwarding"); else slashes do ("net.ipv4.conf.eth0/100.forwarding").
#pragma once

#include <optional>
#include <string>

namespace keelson {

/// The second spelling.
std::string sysctl_with_dots(std::string name);

/// Its file below /proc/sys; nullopt if a part of the name is empty, "." or "..".
std::optional<std::string> sysctl_path(const std::string& name);

}  // namespace keelson
