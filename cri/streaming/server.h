// SPDX-License-Identifier: Apache-2.0
// Where the URLs of Exec and Attach lead: an HTTP server that turns one WebSocket into a process's stdin, stdout,
// stderr.
//
// CRI splits a session in two: the RPC says who may do what and gets a URL; whoever has the URL connects within a
// minute, once. So the token in the URL is the whole authority, and the server listens on loopback.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "common/fd.h"
#include "common/result.h"
#include "cri/streaming/channels.h"

namespace keelson::cri {

/// A process's ends, as the shim hands them out. An empty Fd is a stream that was not asked for. With a terminal `in`
/// and `out` are two descriptors of its master side, and `err` is empty.
struct StreamSession {
  Fd in;
  Fd out;
  Fd err;
  /// Sets the terminal's size; empty without one.
  std::function<Result<>(TerminalSize)> resize;
  /// Waits for the end and returns the exit code; called once, on a thread of its own. Unblocks after hang_up().
  std::function<Result<int>()> wait;
  /// The client is gone: end an exec's process, let go of an attached one. Called at most once.
  std::function<void()> hang_up;
};

/// Opens the session when the client has come; runs on a thread of its own, so it may block.
using OpenSession = std::function<Result<StreamSession>()>;

/// Runs on one thread of its own ("kl-stream") plus one a session. offer() is thread-safe.
class StreamingServer {
 public:
  /// Listens at once. Port 0: any.
  static Result<std::unique_ptr<StreamingServer>> start(const std::string& address, uint16_t port);
  virtual ~StreamingServer() = default;

  /// A URL that works once, for a minute: "http://127.0.0.1:4711/exec/<token>". `verb` is exec or attach. At most 1000
  /// wait at a time: Kind::exhausted.
  virtual Result<std::string> offer(const std::string& verb, OpenSession open) = 0;

 protected:
  StreamingServer() = default;
};

}  // namespace keelson::cri
