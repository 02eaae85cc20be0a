// SPDX-License-Identifier: Apache-2.0
// Other programs, run with a deadline.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "common/result.h"

namespace keelson {

struct Command {
  std::vector<std::string> args;  ///< args[0] is the path of the program
  std::vector<std::string> env;   ///< the whole environment, "NAME=value"
  std::string input;              ///< its standard input
  std::chrono::milliseconds deadline{60'000};
  size_t max_output = 4 << 20;  ///< of each stream; more is Kind::exhausted
};

struct CommandOutput {
  int exit_code = 0;  ///< 128 + signal for a death by signal
  std::string out;
  std::string error;
};

/// Runs a program to its end. Blocks; thread-safe. It inherits no descriptor but its three streams, and has a process
/// group of its own. When the deadline passes it is killed, with what it has started in its group (mount(8) waits for
/// mount.nfs(8)), and the answer is Kind::timeout. A program that cannot be started is the errno's kind and names
/// the path; one that exits with another code than 0 is not an error here.
Result<CommandOutput> run_command(const Command& command);

}  // namespace keelson
