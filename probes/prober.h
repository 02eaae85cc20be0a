// SPDX-License-Identifier: Apache-2.0
// When probes run and what their results mean (kubelet pkg/kubelet/prober).
//
//   container starts --> startup probe (if any) until it succeeds --> liveness and readiness, each on its own period
//
// A result counts when it has been seen `threshold` times in a row. A failed liveness or startup probe stops probing of
// the instance: it is about to be killed. Errors of a try (not failures) are tried three times, told, and change
// nothing. Instances that began before the prober wait for a random part of their period first, so that not all are
// probed at once.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/stats.h"
#include "common/task_group.h"
#include "probes/probe.h"

namespace keelson::probes {

enum class ProbeKind { liveness, readiness, startup };

struct Schedule {
  Duration initial_delay{0};  ///< from the container's start
  Duration period = std::chrono::seconds(10);
  Duration timeout = std::chrono::seconds(1);
  int success_threshold = 1;
  int failure_threshold = 3;
};

struct ProbePlan {
  Target target;
  Schedule schedule;
};

/// What is to be probed of one container instance.
struct Subject {
  std::string group;      ///< the pod's uid
  std::string container;  ///< its name
  std::string id;         ///< of the instance
  WallTime started_at;
  std::optional<ProbePlan> startup;
  std::optional<ProbePlan> liveness;
  std::optional<ProbePlan> readiness;
  bool started = false;  ///< An earlier prober saw its startup succeed: that probe is over.
  bool ready = false;    ///< An earlier prober left it ready: only failures at the threshold change that.
};

/// A try that failed or went wrong, or a change of state. Successes that change nothing are told if they warn.
struct News {
  ProbeKind kind = ProbeKind::liveness;
  bool decided = false;  ///< a threshold was reached: `success` is the new state
  bool success = false;
  std::string text;
  bool error = false;        ///< the try itself went wrong: it says nothing about the container
  std::string warning = {};  ///< of a success
};

/// How the tries of one container's probe have ended so far.
struct Tally {
  std::string group;
  std::string container;
  ProbeKind kind = ProbeKind::liveness;
  uint64_t succeeded = 0, failed = 0, unknown = 0;
  Histogram durations{default_bounds()};  ///< of those that have not failed, in seconds
};

/// Belongs to one loop.
class Prober {
 public:
  using Try = std::function<asio::awaitable<TryResult>(Subject subject, Target target, Duration limit)>;
  /// `try_once` is a parameter so that the rules can be tested without a network; `random` answers 0 to 1.
  Prober(Loop& loop, Try try_once, std::function<double()> random);
  ~Prober();

  /// Starts probing; a subject of the same group and container is replaced if its id is another one, else nothing
  /// happens.
  void watch(Subject subject, std::function<void(News)> news);
  /// Liveness and startup of the group stop; readiness goes on.
  void end_group(const std::string& group);
  void forget(const std::string& group, const std::string& container);
  /// Of all that are watched, since they are.
  std::vector<Tally> tallies() const;

 private:
  struct Worker;
  Task<> probe(std::shared_ptr<Worker> worker, ProbeKind kind, ProbePlan plan);
  Task<> start(std::shared_ptr<Worker> worker);
  asio::awaitable<TryResult> try_thrice(std::shared_ptr<Worker> worker, ProbePlan plan);
  Duration first_wait(const Worker& worker, const Schedule& schedule) const;

  Loop& loop_;
  Try try_once_;
  std::function<double()> random_;
  const WallTime began_;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<Worker>> workers_;
};

}  // namespace keelson::probes
