// SPDX-License-Identifier: Apache-2.0
// Processes beside a container's first one.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "common/fd.h"
#include "cri/runtime/parts.h"

namespace keelson::cri {

/// A running exec. Its exit is expected until end() is called.
struct Exec {
  std::string id;
  int pid = 0;
  Fd process;  ///< pidfd; readable when it has ended. Empty if it ended before we could look.
};

/// Starts `args` in a running container with the rights of its first process. `stdio` are its descriptors.
/// Kind::conflict (FailedPrecondition) if the container does not run.
Result<Exec> start_exec(Parts& parts, const Located& located, std::vector<std::string> args,
                        const std::vector<int>& stdio);
/// The same on a new terminal; the terminal's master comes back in `master`.
Result<Exec> start_exec_terminal(Parts& parts, const Located& located, std::vector<std::string> args, Fd& master);
/// SIGKILL; a process that has ended is fine.
void kill_exec(const Exec& exec);

/// What a command left behind.
struct Outcome {
  std::string output;
  std::string error;
  int exit_code = 0;
};
/// Runs a command to its end. Each stream is kept up to 16 MiB (what CRI clients take), the rest is read and dropped.
/// Past `limit` (zero: none) the command is killed and the error is Kind::timeout.
Result<Outcome> run_exec(Parts& parts, const Located& located, std::vector<std::string> args,
                         std::chrono::seconds limit);

}  // namespace keelson::cri
