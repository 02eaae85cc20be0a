// SPDX-License-Identifier: Apache-2.0
// What a process on its way tells the shim: packets over a socket pair, with descriptors. The shim's end is
// read_child() of child.h.
#pragma once

#include <sys/types.h>

#include "common/fd.h"

namespace keelson::cri::shim {

struct Channel {
  Fd ours;
  Fd childs;
};

/// Both ends close by exec.
Result<Channel> make_channel();

/// The process is ready; with the master of its terminal, if it has one.
void tell_ready(int channel, const Fd& terminal);
void tell_failed(int channel, const Error& error);
/// A first step has borne the process that the shim is to have instead of it.
void tell_born(int channel, pid_t pid, const Fd& pidfd);

}  // namespace keelson::cri::shim
