// SPDX-License-Identifier: Apache-2.0
// /healthz, /healthz/ping, /healthz/log, /healthz/syncloop (k8s.io/apiserver healthz).
#pragma once

#include <map>
#include <optional>
#include <string>

#include "common/loop.h"
#include "common/stats.h"
#include "common/task_group.h"
#include "http/server.h"

namespace keelson::agent {

/// Whether the agent lives, as seen from another loop. Belongs to `loop`, which must run no more, or close() have
/// ended, before it is destroyed.
class Healthz {
 public:
  /// The agent's loop is asked for a sign of life; only when it has given none for `limit` (the kubelet's: twice
  /// syncFrequency, 2 minutes at least) it counts as stuck.
  Healthz(Loop& loop, Loop& agents_loop, Duration limit = std::chrono::minutes(2));

  /// "ok"; with ?verbose what was checked; 500 and the list when something is wrong; 404 for a check that there is not.
  Task<http::Response> answer(http::Request request);
  /// kubernetes_healthcheck, kubernetes_healthchecks_total: what was found so far.
  void collect(Stats& stats) const;
  Task<> close();

 private:
  Task<bool> works(std::string check);
  Task<bool> agent_lives();
  Task<> ask_agent();

  Loop& loop_;
  Loop& agents_loop_;
  const Duration limit_;
  std::optional<SteadyTime> asked_;  // and not answered
  asio::steady_timer answered_;      // cancelled then
  struct Count {
    uint64_t good = 0, bad = 0;
    bool last = true;
  };
  std::map<std::string, Count> counts_;
  TaskGroup tasks_;
};

}  // namespace keelson::agent
