// SPDX-License-Identifier: Apache-2.0
// What is asked of pods and their containers over HTTP: one table of paths, the kubelet's own, for the admin API and
// the kubelet API.
//
//   GET       /pods, /runningpods                     v1 PodList: as wanted, with status; what runs now
//   GET       /containerLogs/NS/POD/CONTAINER         ?follow&tailLines&sinceSeconds|sinceTime&limitBytes&timestamps
//                                                     &previous&stream=Stdout|Stderr|All
//   GET POST  /exec/NS/POD[/UID]/CONTAINER            ?command=..&command=..&input&output&error&tty
//   GET POST  /attach/NS/POD[/UID]/CONTAINER          ?input&output&error&tty
//   GET POST  /portForward/NS/POD[/UID]               ?port=.. for WebSocket's channels
//   POST      /run/NS/POD[/UID]/CONTAINER             ?cmd=..: to its end; what it has printed
//
// Errors are plain text: 400 wrong question, 404 no such thing, 405 not by this method, 409 not in this state, 500 the
// rest.
#pragma once

#include <memory>
#include <optional>

#include "agent/agent.h"
#include "common/loop.h"
#include "cri/client/client.h"
#include "http/server.h"

namespace keelson::agent {

struct PodEndpointOptions {
  /// Sessions (exec, attach, port-forward) are answered with {"url":"http://.."}: a one-time URL of the runtime, for
  /// callers on this node. Otherwise the connection is passed on there.
  bool give_urls = false;
  Duration idle = std::chrono::hours(4);  ///< A session on which nothing moves for so long is ended.
};

/// Belongs to `loop`, which serves the requests; the agent belongs to `agents_loop`, the same or another, and is asked
/// there, for some seconds at most. All outlive it; `loop` the last run of `agents_loop`, too. Made on the agent's
/// thread, or before it runs.
class PodEndpoints {
 public:
  PodEndpoints(Loop& loop, Loop& agents_loop, Agent& agent, cri::RuntimeClient& runtime,
               PodEndpointOptions options = {});
  ~PodEndpoints();

  /// Nothing: the path is none of these.
  Task<std::optional<http::Response>> answer(http::Request request);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace keelson::agent
