// SPDX-License-Identifier: Apache-2.0
// Cgroups that systemd makes: the last part of a path is a unit's name, and a slice's own name tells the path above it
// (systemd.slice(5)): "a-b.slice" is "/a.slice/a-b.slice".
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace keelson::cgroup {

/// Who makes cgroups on this node. Only one may: what systemd has not made, it takes for its own to change.
enum class Driver {
  cgroupfs,  ///< whoever needs one, by mkdir
  systemd,   ///< systemd, as units: slices hold scopes, scopes hold processes
};

/// "cgroupfs" and "systemd", as KubeletConfiguration's cgroupDriver.
std::string_view to_string(Driver driver);

/// "a-b.slice" -> "/a.slice/a-b.slice"; the root "-.slice" -> "". What is no slice is "/" and its name.
std::string slice_path(std::string_view slice);

/// The path of nested names, as the kubelet makes it: "/a/b-c", or with systemd "/a.slice/a-b_c.slice". A part may have
/// slashes, and be empty.
std::string nested_path(Driver driver, std::initializer_list<std::string_view> parts);

/// A parent as a client names it, by a path or by a slice's name, as a path; an empty one is `fallback`'s.
std::string parent_path(const std::string& parent, const std::string& fallback);

/// The last part of a path: "keelson-1.scope".
std::string unit_of(std::string_view path);
/// The slice that a unit's path lies in: "a-b.slice", or "-.slice" at the top.
std::string slice_of(std::string_view path);
bool is_slice(std::string_view unit);

}  // namespace keelson::cgroup
