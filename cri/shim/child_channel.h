// SPDX-License-Identifier: Apache-2.0
// What a process on its way and the shim tell each other: packets over a socket pair, with descriptors.
#pragma once

#include <sys/types.h>

#include <optional>

#include "common/fd.h"

namespace keelson::cri::shim {

struct Channel {
  Fd ours;
  Fd childs;
};

/// Both ends close by exec.
Result<Channel> make_channel();

/// To read_child(): 'R' for ready or 'E' for an error, its kind and code behind, then text; a terminal's master with
/// it.
void tell(int channel, const Result<>& outcome, const Fd& terminal);

/// PID and pidfd of the process that a step on the way has born for the shim.
struct Born {
  pid_t pid = -1;
  Fd pidfd;
};

void report_birth(int report, pid_t pid, const Fd& pidfd);
/// Nothing if there was none, or not in time (SO_RCVTIMEO): the channel says why.
std::optional<Born> read_birth(int report);

}  // namespace keelson::cri::shim
