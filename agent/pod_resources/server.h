// SPDX-License-Identifier: Apache-2.0
// The podresources API of the kubelet, v1 (KEP-606, KEP-2403): List, Get and GetAllocatableResources by gRPC.
#pragma once

#include <memory>
#include <string>

#include "agent/pod_resources/source.h"
#include "common/loop.h"
#include "common/stats.h"

namespace keelson::pod_resources {

/// Serves on threads of gRPC's; each answer is made on the agent's loop. More than 100 requests a second in the long
/// run, or 10 at once, are refused (RESOURCE_EXHAUSTED). Only root reaches the socket, which is in a folder of its own.
class Server {
 public:
  /// Makes the socket's folder. `loop` and `source` outlive the server. Kind::unavailable: it cannot listen.
  static Result<std::unique_ptr<Server>> start(Loop& loop, const Source& source, const std::string& socket);
  /// Requests that have no answer yet get UNAVAILABLE. The loop may run or not, but makes no answer meanwhile: call it
  /// on the loop's thread, or when that has ended.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// kubelet_pod_resources_endpoint_requests_total, _requests_list, _requests_get, _requests_get_allocatable and
  /// _errors_get {server_api_version}. On the loop.
  void collect(Stats& stats) const;

 private:
  struct State;
  class Service;
  Server();
  std::shared_ptr<State> state_;
  std::unique_ptr<Service> service_;
};

}  // namespace keelson::pod_resources
