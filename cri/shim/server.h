// SPDX-License-Identifier: Apache-2.0
// The shim's one loop: connections, children, output.
#pragma once

#include "common/fd.h"
#include "cri/shim/sandbox.h"

namespace keelson::cri::shim {

/// <run_dir>/shim.sock, as long as this lives. Move-only.
class Listener {
 public:
  /// Takes the place of a socket that a dead shim has left.
  static Result<Listener> open(const std::string& run_dir);
  Listener(Listener&&) = default;
  Listener& operator=(Listener&&) = delete;
  ~Listener() { close(); }

  /// Takes the socket away; nobody can connect any more. Idempotent.
  void close();
  int fd() const { return socket_.get(); }

 private:
  Listener(Fd socket, Fd folder) : socket_(std::move(socket)), folder_(std::move(folder)) {}
  Fd socket_;
  Fd folder_;
};

/// Serves until a shutdown request. Single-threaded; SIGCHLD must be blocked.
void serve(Sandbox& sandbox, Listener listener);

}  // namespace keelson::cri::shim
