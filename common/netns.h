// SPDX-License-Identifier: Apache-2.0
// Network namespaces: entered for a while, and pinned by a path.
#pragma once

#include <functional>
#include <string>

#include "common/fd.h"

namespace keelson {

/// This thread in another network namespace; back in its own on destruction. Kind::not_found or invalid names the path.
class NetnsGuard {
 public:
  static Result<NetnsGuard> enter(const std::string& path);
  static Result<NetnsGuard> enter(int fd);
  NetnsGuard(NetnsGuard&&) = default;
  NetnsGuard& operator=(NetnsGuard&&) = delete;
  ~NetnsGuard();

 private:
  NetnsGuard() = default;
  Fd own_;
};

/// Makes a new network namespace and pins it at `path` by a bind mount; this thread stays where it is.
Result<> make_netns(const std::string& path);
/// Takes the pin away; absent is success.
Result<> remove_netns(const std::string& path);

}  // namespace keelson
