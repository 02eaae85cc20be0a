// SPDX-License-Identifier: Apache-2.0
// Where an OCI runtime hands over a terminal: `--console-socket`.
#pragma once

#include <string>

#include "common/fd.h"

namespace keelson::cri::shim::oci {

/// A unix socket in a folder, on which a runtime connects and sends the master of the terminal that it has made.
class ConsoleSocket {
 public:
  static Result<ConsoleSocket> open(const std::string& folder, const std::string& name);
  ConsoleSocket(ConsoleSocket&&) = default;
  ConsoleSocket& operator=(ConsoleSocket&&) = delete;
  ~ConsoleSocket();

  /// For the runtime; short enough for sun_path, and good while this process lives.
  const std::string& path() const { return path_; }
  /// What has been sent. Does not wait: Kind::internal if nothing has.
  Result<Fd> take();

 private:
  ConsoleSocket() = default;
  Fd folder_;
  std::string name_;
  std::string path_;
  Fd listener_;
};

}  // namespace keelson::cri::shim::oci
