// SPDX-License-Identifier: Apache-2.0
// The runtime's side of a shim: start one, find one again, and talk to it.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/fd.h"
#include "cri/shim/protocol.h"

namespace keelson::cri::shim {

/// One connection to one shim. Thread-safe: a call holds the connection until its answer is there, so a caller that
/// must not wait behind another opens its own. Every call fails with Kind::unavailable when the shim is gone and
/// Kind::timeout when it does not answer in time; after either the connection is unusable.
class ShimClient {
 public:
  /// Starts `binary` (from a read-only mount of its file, so that no container can write it) and waits until its socket
  /// serves. The shim is no child of ours: it is reaped by the system. The error is the shim's own: which step failed.
  static Result<std::unique_ptr<ShimClient>> launch(const std::string& binary, const SandboxSpec& spec,
                                                    std::chrono::milliseconds timeout);
  /// Connects to the shim that serves in `run_dir`. Kind::not_found or unavailable if there is none.
  static Result<std::unique_ptr<ShimClient>> connect(const std::string& run_dir, std::chrono::milliseconds timeout);

  ~ShimClient();

  /// The PID of the shim (SO_PEERCRED).
  pid_t pid() const { return pid_; }

  Result<ProcessStatus> create(const ContainerSpec& spec);
  Result<ProcessStatus> start(const std::string& container_id);
  Result<> signal(const std::string& container_id, int number, bool all);
  /// `stdio` are stdin, stdout, stderr of the new process.
  Result<ProcessStatus> exec(const std::string& container_id, const std::string& exec_id, const ProcessSpec& process,
                             const std::vector<int>& stdio);
  struct Terminal {
    ProcessStatus status;
    Fd master;
  };
  /// The same on a new terminal (`process.tty`), whose master is ours then.
  Result<Terminal> exec_terminal(const std::string& container_id, const std::string& exec_id,
                                 const ProcessSpec& process);
  /// Copies of the container's output go to `out` and `error` from now on, as long as they take it; the value is its
  /// standard input or terminal, empty if it has none, or if not `want_input`. With stdin_once the value is the only
  /// one there is: the container reads to its end once that is closed, and a later attach gets none.
  Result<Fd> attach(const std::string& container_id, int out, int error, bool want_input);
  Result<> resize(const std::string& container_id, const std::string& exec_id, uint32_t width, uint32_t height);
  Result<> reopen_log(const std::string& container_id);
  Result<> remove(const std::string& container_id);
  Result<std::vector<ProcessStatus>> state();
  Result<> shutdown();

  /// Makes this connection one for events: afterwards only next_event() may be called.
  Result<> subscribe();
  /// The next event; waits for it. Kind::unavailable when the shim is gone; Kind::timeout after `limit`, the connection
  /// then stays usable.
  Result<Event> next_event(std::optional<std::chrono::milliseconds> limit);
  /// For poll(2).
  int fd() const { return socket_.get(); }

 private:
  ShimClient(Fd socket, pid_t pid, std::chrono::milliseconds timeout);

  Result<Reply> call(const Request& request, const std::vector<int>& fds, Fd* received);

  Fd socket_;
  pid_t pid_;
  std::chrono::milliseconds timeout_;
  std::mutex mutex_;
  std::unique_ptr<class FrameReader> reader_;  // holds what came behind the last frame
};

}  // namespace keelson::cri::shim
