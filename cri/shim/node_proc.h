// SPDX-License-Identifier: Apache-2.0
// The node's /proc, for use from inside a container.
//
// A write to /proc/self/attr/exec that lands elsewhere is a label that was never set, or a write to a file of the
// attacker's choice (CVE-2019-16884, CVE-2025-52881). The container's /proc may be no procfs, or have mounts on it; the
// node's, opened before the container's mount namespace is entered, is neither.
#pragma once

#include "common/fd.h"

namespace keelson::cri::shim {

class NodeProc {
 public:
  /// Opens the /proc of the mount namespace we are in. Kind::invalid if that is no procfs.
  static Result<NodeProc> open();
  /// Opens a file of it, "self/attr/exec". Nothing that is mounted there, and no link out of it, is followed: that is
  /// an error. Kind::not_found if the kernel has no such file.
  Result<Fd> open_file(const std::string& path, int flags) const;

  /// Stays with the object.
  int fd() const { return root_.get(); }

 private:
  explicit NodeProc(Fd root) : root_(std::move(root)) {}
  Fd root_;
};

}  // namespace keelson::cri::shim
