// SPDX-License-Identifier: Apache-2.0
// The role `network`: services of a folder of manifests, in the kernel.
#pragma once

#include <memory>
#include <string>

#include "cmd/keelson/config.h"
#include "common/result.h"

namespace keelson::cli {

/// On a thread of its own. What it has programmed goes on without it.
class NetworkRole {
 public:
  /// Loads the programs, or takes over those of a daemon before, in this thread's network namespace. Services are
  /// routed soon after; when that fails the log says why and it is tried again.
  static Result<std::unique_ptr<NetworkRole>> start(const NodeConfig& config, const std::string& node_name);
  virtual ~NetworkRole() = default;
  /// Blocks until it has ended. False if programs were to be removed and are left.
  virtual bool stop() = 0;
};

}  // namespace keelson::cli
