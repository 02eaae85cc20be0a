// SPDX-License-Identifier: Apache-2.0
// What went over the links of a network namespace.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace keelson::metrics {

struct LinkUse {
  std::string name;
  struct Direction {
    uint64_t bytes = 0, packets = 0, errors = 0, dropped = 0;
    bool operator==(const Direction&) const = default;
  };
  Direction received, sent;
  bool operator==(const LinkUse&) const = default;
};

/// A text as /proc/PID/net/dev (proc_pid_net(5)), without the loopback; lines that are none are passed over.
std::vector<LinkUse> parse_links(std::string_view text);

/// Of the namespace that a process is in; empty when it is gone.
std::vector<LinkUse> read_links(pid_t process);

}  // namespace keelson::metrics
