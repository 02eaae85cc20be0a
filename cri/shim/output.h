// SPDX-License-Identifier: Apache-2.0
// What a container writes: from its pipes or its terminal into the log, and to whoever is attached.
#pragma once

#include <list>

#include "cri/shim/log_writer.h"
#include "cri/shim/poller.h"
#include "cri/shim/protocol.h"

namespace keelson::cri::shim {

/// The reading ends of one container's output. Never blocks, and never makes the container wait: a full disk loses log
/// lines, a slow reader is let go.
class Output {
 public:
  Output(const ContainerSpec& spec, Poller& poller)
      : log_(spec.log_path, spec.log_max_bytes, spec.log_max_files), poller_(poller) {}

  Result<> open_log() { return log_.open(); }
  Result<> reopen_log() { return log_.reopen(); }

  /// The writing end of a new pipe, for the container's process.
  Result<Fd> add_pipe(Stream stream);
  /// A terminal is both streams in one. `master` is a descriptor of our own.
  void use_terminal(Fd master);

  bool owns(int fd) const { return fd >= 0 && (from_[0].get() == fd || from_[1].get() == fd); }
  /// Something is there to read at `fd`.
  void pump(int fd);
  /// Reads what is there, at the container's end.
  void drain();
  /// A copy of all from now on goes to `reader`.
  void attach(Stream stream, Fd reader);

 private:
  bool copy_once(size_t index);
  void end(size_t index);

  LogWriter log_;
  Poller& poller_;
  Fd from_[2];
  Poller::Watch watches_[2];
  std::list<Fd> copies_[2];
};

}  // namespace keelson::cri::shim
