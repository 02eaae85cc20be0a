// SPDX-License-Identifier: Apache-2.0
// What a shim knows of one container: its processes and streams.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "cri/shim/child.h"
#include "cri/shim/output.h"
#include "cri/shim/protocol.h"

namespace keelson::cri::shim {

/// One process: a container's first, or an exec.
struct Process {
  ProcessStatus status;
  Child child;
  Poller::Watch watch;       ///< of the child's channel
  Fd terminal;               ///< the master, for resize
  uint64_t waiting_for = 0;  ///< the connection that waits for create, start or exec to be answered; 0: none
  Verb waiting_verb = Verb::state;
  bool made = false;  ///< it has told that it is ready

  void close_channel() {
    watch.end();
    child.channel.reset();
  }
};

struct Container {
  Container(ContainerSpec wanted, Poller& poller) : spec(std::move(wanted)), output(spec, poller) {}
  ContainerSpec spec;
  Output output;
  Process process;
  std::map<std::string, Process> execs;
  Fd input;              ///< write end of stdin, if it is open
  bool leaving = false;  ///< it is being removed: its end is no news
};

}  // namespace keelson::cri::shim
