// SPDX-License-Identifier: Apache-2.0
#include "agent/pleg.h"

#include "common/log.h"

namespace keelson::agent {

namespace {

double seconds(Duration time) {
  return std::chrono::duration<double>(time).count();
}

}  // namespace

Pleg::Pleg(Loop& loop, PodRuntime& runtime, PlegOptions options)
    : loop_(loop),
      runtime_(runtime),
      options_(std::move(options)),
      durations_(default_bounds()),
      intervals_(default_bounds()) {}

Task<> Pleg::run() {
  while (true) {
    KEELSON_CO_DO(co_await look());
    KEELSON_CO_DO(co_await loop_.sleep(options_.period));
  }
}

Task<> Pleg::look() {
  const SteadyTime began = loop_.clock().steady();
  const WallTime began_wall = loop_.clock().wall();
  if (last_) {
    intervals_.observe(seconds(began - *last_));
  }
  const auto found = co_await runtime_.list_pods();
  if (!found && found.error().kind() == Kind::cancelled) {
    co_return std::unexpected(found.error());
  }
  durations_.observe(seconds(loop_.clock().steady() - began));
  if (!found) {
    log::debug("look at the runtime: {}", found.error().message());
    co_return Result<>();
  }
  last_ = began;
  last_wall_ = began_wall;
  options_.seen(began);
  co_return Result<>();
}

void Pleg::collect(Stats& stats) const {
  stats.histogram("kubelet_pleg_relist_duration_seconds", "[ALPHA] Duration in seconds for relisting pods in PLEG.",
                  durations_);
  stats.histogram("kubelet_pleg_relist_interval_seconds", "[ALPHA] Interval in seconds between relisting in PLEG.",
                  intervals_);
  if (last_wall_) {
    stats.gauge("kubelet_pleg_last_seen_seconds", "[ALPHA] Timestamp in seconds when PLEG was last seen active.",
                seconds(last_wall_->time_since_epoch()));
  }
}

}  // namespace keelson::agent
