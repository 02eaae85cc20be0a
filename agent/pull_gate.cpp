// SPDX-License-Identifier: Apache-2.0
#include "agent/pull_gate.h"

namespace keelson::agent {

PullGate::PullGate(Loop& loop, PullLimits limits) : loop_(loop), limits_(limits) {
  if (limits_.begins.per_second > 0) {
    begins_.emplace(limits_.begins);
  }
}

Task<PullGate::Place> PullGate::enter() {
  const SteadyTime came = loop_.clock().steady();
  if (limits_.at_once != 0 && inside_ >= limits_.at_once) {
    auto own = std::make_shared<Waiting>(loop_);
    queue_.push_back(own);
    co_await own->turn.async_wait(use_result);
    if (!own->come) {
      std::erase(queue_, own);
      co_return fail(Kind::cancelled, "waiting for other pulls");
    }
  } else {
    ++inside_;
  }
  Place place(this, loop_.clock().steady() - came);
  if (begins_ && !begins_->take(loop_.clock().steady())) {
    co_return fail(Kind::exhausted, "pull QPS exceeded");
  }
  co_return place;
}

/// The place goes to whoever waits longest, without being free in between.
void PullGate::leave() {
  if (queue_.empty()) {
    --inside_;
    return;
  }
  auto next = std::move(queue_.front());
  queue_.pop_front();
  next->come = true;
  next->turn.cancel();
}

}  // namespace keelson::agent
