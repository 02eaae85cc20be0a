// SPDX-License-Identifier: Apache-2.0
// Cgroups that systemd names: a unit is the last part of a path, and a slice's own name tells the path above it
// (systemd.slice(5)): "a-b.slice" is "/a.slice/a-b.slice".
#pragma once

#include <string>
#include <string_view>

namespace keelson::cgroup {

/// "a-b.slice" -> "/a.slice/a-b.slice"; the root "-.slice" -> "". What is no slice is "/" and its name.
std::string slice_path(std::string_view slice);

/// A parent as a client names it, by a path or by a slice's name, as a path; an empty one is `fallback`'s.
std::string parent_path(const std::string& parent, const std::string& fallback);

}  // namespace keelson::cgroup
