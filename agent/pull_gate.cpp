// SPDX-License-Identifier: Apache-2.0
#include "agent/pull_gate.h"

#include <algorithm>

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

/// The end of a flight, however it comes.
class PullGate::Landing {
 public:
  Landing(PullGate& gate, std::string key, std::shared_ptr<Flight> flight)
      : gate_(gate), key_(std::move(key)), flight_(std::move(flight)) {
    gate_.flights_[key_] = flight_;
  }
  ~Landing() {
    gate_.flights_.erase(key_);
    flight_->over = true;
    flight_->landed.cancel();
  }
  Landing(const Landing&) = delete;
  Landing& operator=(const Landing&) = delete;

 private:
  PullGate& gate_;
  const std::string key_;
  const std::shared_ptr<Flight> flight_;
};

Task<PulledImage> PullGate::pull(std::string key, std::function<Task<PulledImage>()> work) {
  const SteadyTime came = loop_.clock().steady();
  for (auto found = flights_.find(key); found != flights_.end(); found = flights_.find(key)) {
    const auto other = found->second;
    co_await other->landed.async_wait(use_result);
    if (!other->over) {
      co_return fail(Kind::cancelled, "waiting for the same pull");
    }
    if (other->answer) {
      auto answer = *other->answer;
      if (answer) {
        answer->waited = std::max<Duration>(other->begun - came, Duration(0));
      }
      co_return answer;
    }
  }
  const auto flight = std::make_shared<Flight>(loop_);
  const Landing landing(*this, std::move(key), flight);
  auto place = co_await enter();
  Result<PulledImage> answer = PulledImage();
  if (place) {
    flight->begun = loop_.clock().steady();
    answer = co_await work();
  } else {
    answer = std::unexpected(std::move(place).error());
  }
  if (answer) {
    answer->waited = place->waited();
  }
  if (answer || answer.error().kind() != Kind::cancelled) {
    flight->answer = answer;
  }
  co_return answer;
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
