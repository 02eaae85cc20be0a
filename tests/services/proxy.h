// SPDX-License-Identifier: Apache-2.0
// A service proxy on the node of a world: ours or kube-proxy, seen alike.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/services/scenario.h"
#include "tests/services/world.h"

namespace keelson::services {

/// apply(), remove() and sync() may be called by any thread, the rest by one. Failures fail the test.
class Proxy {
 public:
  virtual ~Proxy() = default;

  /// What there shall be from now on. Nothing is waited for.
  virtual void apply(const std::vector<json::object>& objects) = 0;
  virtual void remove(const std::vector<json::object>& objects) = 0;
  /// What was applied before is in the kernel.
  virtual void sync() = 0;

  /// Starts the daemon; returns when it serves what had been applied.
  virtual void start() = 0;
  virtual void stop() = 0;  ///< SIGTERM. What it has programmed goes on.
  virtual void kill() = 0;  ///< SIGKILL.
  /// The daemon and all that it has programmed is gone; what is left fails the test.
  virtual void clean_up() = 0;
};

/// How ours is run: where flows of pods and from outside are caught. Processes of the node are always seen at their
/// sockets.
enum class Hooks { sockets, packets, xdp };

/// The real `keelson node --roles network`, on a folder of manifests.
std::unique_ptr<Proxy> make_ours(World& world, const Group& group, Hooks hooks);

/// kube-proxy, its control plane in the node's namespace. `home`: a folder for its files.
std::unique_ptr<Proxy> make_kube_proxy(World& world, const Group& group, Side side, const std::string& home);

}  // namespace keelson::services
