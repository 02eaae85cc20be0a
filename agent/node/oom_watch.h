// SPDX-License-Identifier: Apache-2.0
// The kernel ends a process because the whole machine is out of memory: told by its log, for the node's event SystemOOM
// (kubelet pkg/kubelet/oom, cAdvisor's oomparser). A container that comes to its own limit is none of that.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "common/loop.h"

namespace keelson::agent {

struct OomVictim {
  std::string process;  ///< Its name.
  int64_t pid = 0;
  bool operator==(const OomVictim&) const = default;
};

/// The kernel's messages, in their order. A value.
class OomMessages {
 public:
  /// The next message, without what stands before ";" in /dev/kmsg. Whom the machine's lack has ended, with the last
  /// message of such a story.
  std::optional<OomVictim> next(std::string_view message);

 private:
  bool began_ = false;  // a story
  bool of_a_cgroup_ = false;
};

/// Calls `tell` for each from now on, until cancelled. Kind::not_found, permission: the log cannot be read here.
Task<> watch_ooms(std::function<void(const OomVictim&)> tell);

/// The event's message.
std::string oom_text(const OomVictim& victim);

}  // namespace keelson::agent
