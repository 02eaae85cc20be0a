// SPDX-License-Identifier: Apache-2.0
// What a shim knows of one container: its processes, streams and log.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <string>

#include "cri/shim/child.h"
#include "cri/shim/log_writer.h"
#include "cri/shim/protocol.h"

namespace keelson::cri::shim {

/// One process: a container's first, or an exec.
struct Process {
  ProcessStatus status;
  Child child;
  Fd terminal;               ///< the master, for resize (and, of a container, its output)
  uint64_t waiting_for = 0;  ///< the connection that waits for create, start or exec to be answered; 0: none
  Verb waiting_verb = Verb::state;
  bool made = false;  ///< it has told that it is ready
};

struct Container {
  explicit Container(ContainerSpec wanted)
      : spec(std::move(wanted)), log(spec.log_path, spec.log_max_bytes, spec.log_max_files) {}
  ContainerSpec spec;
  LogWriter log;
  Process process;
  std::map<std::string, Process> execs;
  Fd output[2];             ///< read ends of stdout, stderr; with a terminal its master is output[0]
  Fd input;                 ///< write end of stdin, if it is open
  std::list<Fd> copies[2];  ///< attached readers of stdout, stderr
};

/// Writes the exit of a container beside the shim's socket, so that it is known even if the shim is killed.
Result<> save_exit(const std::string& run_dir, const ProcessStatus& status);

}  // namespace keelson::cri::shim
