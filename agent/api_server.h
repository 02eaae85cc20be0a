// SPDX-License-Identifier: Apache-2.0
// The admin API: the kubelet's own HTTP paths over a unix socket that root alone may open.
//
//   GET  /healthz                          "ok"
//   GET  /events?namespace=&name=          v1 EventList
//   GET  /timeline/NS/POD {"spans":[{"name","container","startMicros","durationMicros"}],"totalMicros"} and all paths
//   of pod_endpoints.h; a session is answered with {"url":"http://..."}, a one-time URL of the runtime.
//
// Errors are plain text: 400 wrong question, 404 no such thing, 409 not in this state, 500 the rest.
#pragma once

#include <memory>
#include <string>

#include "agent/agent.h"
#include "common/loop.h"
#include "cri/client/client.h"

namespace keelson::agent {

/// Belongs to the agent's loop; agent and service outlive it.
class ApiServer {
 public:
  ApiServer(Loop& loop, Agent& agent, cri::RuntimeClient& service);
  ~ApiServer();

  /// Serves until cancelled; connections end with it. A socket file left by a dead process is replaced; the error says
  /// why it cannot be bound.
  Task<> run(std::string socket_path);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace keelson::agent
