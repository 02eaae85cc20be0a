// SPDX-License-Identifier: Apache-2.0
// Which cgroup hierarchies this node has: the layout called v1 (one for each controller), v2 (one for all), or hybrid
// (v1, and a v2 beside it with the controllers that v1 has left).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace keelson::cgroup {

/// One mounted hierarchy.
struct Hierarchy {
  std::string root;                      ///< where it is mounted
  std::vector<std::string> controllers;  ///< v1: "cpu", "memory", "name=systemd"; v2: none here, see cgroup.controllers
  bool second = false;                   ///< v2
};

/// The hierarchies among the mounts of /proc/self/mountinfo (proc_pid_mountinfo(5)), each once: the first mount of it
/// counts, for what a later one shows may be a part.
std::vector<Hierarchy> parse_hierarchies(std::string_view mountinfo);

/// `text` between the separators; empty parts are left out.
std::vector<std::string> words(std::string_view text, char separator);

}  // namespace keelson::cgroup
