// SPDX-License-Identifier: Apache-2.0
// Other programs in tests: run to their end, or in the background.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace keelson::testing {

/// What is left of a command: its exit code (128 + signal if killed) and what it printed.
struct Output {
  int code = 0;
  std::string out;
  std::string error;
};

/// Runs a command to its end; the first word is a path or is found by PATH. Its standard input is `input`.
Output run(const std::vector<std::string>& command, const std::string& input = "");

/// A file's text; empty if it cannot be read. Works on /proc.
std::string read_text(const std::string& path);

/// Whether somebody listens on this unix socket.
bool takes_connections(const std::string& socket);

/// A program that runs on while the test does. It is killed with the object.
class Background {
 public:
  Background() = default;
  /// Starts it; what it prints is appended to `log_file`. Fails the test if it cannot be started.
  Background(const std::vector<std::string>& command, const std::string& log_file);
  ~Background() { kill(); }
  Background(Background&& other) noexcept : pid_(other.pid_) { other.pid_ = -1; }
  Background& operator=(Background&& other) noexcept;

  /// -1 when none runs.
  pid_t pid() const { return pid_; }
  /// False once it has ended by itself (and is reaped).
  bool alive();
  /// SIGKILL, and its end.
  void kill();
  /// SIGTERM, and its end: as Output::code.
  int stop();
  /// Until it ends by itself: as Output::code.
  int wait();

 private:
  pid_t pid_ = -1;
};

}  // namespace keelson::testing
