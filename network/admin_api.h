// SPDX-License-Identifier: Apache-2.0
// What the role `network` answers on its own socket (<run>/network.sock, root only), for `keelson get services`,
// `status` and whoever else asks; JSON.
//
//   GET /services[/NAMESPACE/NAME][?namespace=NS]   v1 List of Services, with "routing" (service_report.h)
//   GET /endpoints[/NAMESPACE/NAME][?namespace=NS]  v1 List of Endpoints
//   /connections...                                 connection_api.h
//   GET /flows?follow=&drop=&last=                  a line of JSON for each event (flow_log.h)
//   GET /why?from=&to=&port=&protocol=              why_api.h
//   GET /differences                                {"lines": [...]}: the kernel against what is wanted; equal: none
//   GET /status                                     programs, hooks, tables, last sync, source
//
// A list is written piece by piece, and routing goes on in between: it may show two moments.
#pragma once

#include <memory>
#include <string>

#include "common/loop.h"
#include "network/router.h"

namespace keelson::network {

struct AdminApiOptions {
  std::string socket;
  std::string source;         ///< For people: "manifests in /etc/keelson/manifests".
  std::string socket_cgroup;  ///< As in RouterOptions.
};

/// Belongs to the router's loop. Must not be destroyed while run() has not ended.
class AdminApi {
 public:
  AdminApi(Loop& loop, Router& router, const ObjectSource& source, AdminApiOptions options);
  ~AdminApi();
  /// A socket file left by a dead process is replaced.
  Result<> listen();
  /// Serves until cancelled.
  Task<> run();
  /// Reads what the programs tell, for /flows, until cancelled.
  Task<> watch();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace keelson::network
