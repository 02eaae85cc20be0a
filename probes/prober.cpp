// SPDX-License-Identifier: Apache-2.0
// One coroutine a probe, on the loop's clock.
#include "probes/prober.h"

#include <algorithm>

namespace keelson::probes {

namespace {

constexpr int kTries = 3;

}  // namespace

struct Prober::Worker {
  Worker(Loop& loop, Subject s, std::function<void(News)> n)
      : subject(std::move(s)), news(std::move(n)), killing(loop), serving(loop) {}
  Subject subject;
  std::function<void(News)> news;
  bool gone = false;
  bool ending = false;  // the pod is: only readiness goes on
  std::map<ProbeKind, Tally> tallies;
  TaskGroup killing;  // startup and liveness
  TaskGroup serving;  // readiness
};

Prober::Prober(Loop& loop, Try try_once, std::function<double()> random)
    : loop_(loop), try_once_(std::move(try_once)), random_(std::move(random)), began_(loop.clock().wall()) {}

Prober::~Prober() {
  for (auto& [key, worker] : workers_) {
    worker->gone = true;
  }
}

void Prober::watch(Subject subject, std::function<void(News)> news) {
  auto key = std::pair(subject.group, subject.container);
  if (auto found = workers_.find(key); found != workers_.end()) {
    if (found->second->subject.id == subject.id) {
      return;
    }
    forget(key.first, key.second);
  }
  auto worker = std::make_shared<Worker>(loop_, std::move(subject), std::move(news));
  workers_[key] = worker;
  // Readiness starts with the rest; the group that starts it may not be the one that ends with the pod.
  worker->serving.spawn("probe", start(worker));
}

void Prober::end_group(const std::string& group) {
  for (auto& [key, worker] : workers_) {
    if (key.first == group) {
      worker->ending = true;
      worker->killing.cancel();
    }
  }
}

void Prober::forget(const std::string& group, const std::string& container) {
  auto found = workers_.find({group, container});
  if (found != workers_.end()) {
    auto worker = found->second;
    workers_.erase(found);
    worker->gone = true;
    worker->killing.cancel();
    worker->serving.cancel();
  }
}

Task<> Prober::start(std::shared_ptr<Worker> worker) {
  const auto& subject = worker->subject;
  if (subject.startup && !subject.started) {
    KEELSON_CO_DO(co_await probe(worker, ProbeKind::startup, *subject.startup));
    if (worker->gone) {
      co_return Result<>();
    }
  }
  if (subject.liveness) {
    worker->killing.spawn("liveness probe", probe(worker, ProbeKind::liveness, *subject.liveness));
  }
  if (subject.readiness) {
    KEELSON_CO_DO(co_await probe(worker, ProbeKind::readiness, *subject.readiness));
  }
  co_return Result<>();
}

asio::awaitable<TryResult> Prober::try_thrice(std::shared_ptr<Worker> worker, ProbePlan plan) {
  TryResult result;
  for (int i = 0; i < kTries; ++i) {
    result = co_await try_once_(worker->subject, plan.target, plan.schedule.timeout);
    if (result.outcome != Outcome::error || worker->gone) {
      break;
    }
  }
  co_return result;
}

std::vector<Tally> Prober::tallies() const {
  std::vector<Tally> list;
  for (const auto& [key, worker] : workers_) {
    for (const auto& [kind, tally] : worker->tallies) {
      list.push_back(tally);
      list.back().group = key.first;
      list.back().container = key.second;
      list.back().kind = kind;
    }
  }
  return list;
}

Duration Prober::first_wait(const Worker& worker, const Schedule& schedule) const {
  const WallTime now = loop_.clock().wall();
  const Duration delay = worker.subject.started_at + schedule.initial_delay - now;
  const bool adopted = worker.subject.started_at < began_ && now - began_ < schedule.period;
  const auto spread = adopted ? std::chrono::duration_cast<Duration>(schedule.period * random_()) : Duration(0);
  return std::max(delay, spread);
}

/// Startup ends with its success; a decided failure of startup or liveness ends as cancelled, for the instance is done
/// with.
Task<> Prober::probe(std::shared_ptr<Worker> worker, ProbeKind kind, ProbePlan plan) {
  const auto& schedule = plan.schedule;
  if (const Duration wait = first_wait(*worker, schedule); wait > Duration(0)) {
    KEELSON_CO_DO(co_await loop_.sleep(wait));
  }
  std::optional<bool> state;
  if (kind == ProbeKind::readiness && worker->subject.ready) {
    state = true;
  }
  int in_a_row = 0;
  bool last = false;
  auto over = [&] { return worker->gone || (worker->ending && kind != ProbeKind::readiness); };
  while (!over()) {
    const SteadyTime began = loop_.clock().steady();
    auto result = co_await try_thrice(worker, plan);
    if (over()) {
      break;
    }
    auto& tally = worker->tallies[kind];
    if (result.outcome != Outcome::failure) {
      tally.durations.observe(std::chrono::duration<double>(loop_.clock().steady() - began).count());
    }
    ++(result.outcome == Outcome::success   ? tally.succeeded
       : result.outcome == Outcome::failure ? tally.failed
                                            : tally.unknown);
    if (result.outcome == Outcome::error) {
      worker->news({.kind = kind, .text = result.text, .error = true});
    } else {
      bool success = result.outcome == Outcome::success;
      in_a_row = success == last ? in_a_row + 1 : 1;
      last = success;
      bool decided =
          in_a_row >= (success ? schedule.success_threshold : schedule.failure_threshold) && state != success;
      // Liveness begins as good, readiness as bad: only what differs is news; the first failure of readiness is still
      // told.
      if (decided) {
        state = success;
      }
      bool changes = decided && !(kind == ProbeKind::liveness && success);
      if (!success || changes || !result.warning.empty()) {
        worker->news({kind, changes, success, success ? "" : result.text, false, result.warning});
      }
      if (decided && kind == ProbeKind::startup && success) {
        co_return Result<>();
      }
      if (decided && !success && kind != ProbeKind::readiness) {
        co_return fail(Kind::cancelled, "the instance is to be killed");
      }
    }
    KEELSON_CO_DO(co_await loop_.sleep(schedule.period));
  }
  co_return fail(Kind::cancelled, "forgotten");
}

}  // namespace keelson::probes
