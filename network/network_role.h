// SPDX-License-Identifier: Apache-2.0
// The role `network` whole: a source, a router, what it shows to machines, on a thread of their own.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "common/result.h"
#include "network/proxy_servers.h"
#include "network/router.h"

namespace keelson::network {

struct NetworkOptions {
  RouterOptions router;
  std::string manifest_dir;  ///< Of the folder source, unless `api` is there.
  std::optional<ApiSourceOptions> api;
  ProxyServerOptions servers;
  std::string admin_socket;  ///< Where the role answers (admin_api.h).
  bool remove_on_exit = false;
  /// With ServiceMode::hand_back, after which time the flows that are still ours are cut; 0: they are waited for.
  Duration hand_back_limit{0};
  /// No flow is ours any more: the role has nothing left to do, and stop() takes all away. On the role's thread.
  std::function<void()> handed_back = [] {};
};

class NetworkRole {
 public:
  /// See Router::open() and ProxyServers::start(). Services are routed soon after; when that fails the log says why and
  /// it is tried again.
  static Result<std::unique_ptr<NetworkRole>> start(NetworkOptions options);
  virtual ~NetworkRole() = default;
  /// A pod of this node has come, changed or gone: endpoints, if the source is a folder (LocalSource); an API server
  /// tells itself. Thread-safe.
  virtual void pod_changed(kube::Pod pod, bool gone) = 0;
  /// Who runs pods is about to end this one, or, not `for_good`, a container of it that is started anew: `done` is
  /// called, on the role's thread, once no table leads to it any more (but for services that have nobody else). Not
  /// called if the role ends before. Thread-safe.
  virtual void pod_ends(kube::Pod pod, bool for_good, std::function<void()> done) = 0;
  /// Blocks until it has ended; what is programmed goes on without it, unless it is to be removed. False if it was and
  /// something is left.
  virtual bool stop() = 0;
};

}  // namespace keelson::network
