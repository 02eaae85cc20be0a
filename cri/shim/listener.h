// SPDX-License-Identifier: Apache-2.0
// The socket at which a shim is found.
#pragma once

#include <string>

#include "common/fd.h"

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
  /// For accept4(2); it does not block.
  int fd() const { return socket_.get(); }

 private:
  Listener(Fd socket, Fd folder) : socket_(std::move(socket)), folder_(std::move(folder)) {}
  Fd socket_;
  Fd folder_;
};

}  // namespace keelson::cri::shim
