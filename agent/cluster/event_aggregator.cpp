// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/event_aggregator.h"

#include <fmt/format.h>

namespace keelson::agent {

namespace {

constexpr size_t kMostMessages = 10;
constexpr std::chrono::minutes kInterval{10};
constexpr size_t kRemembered = 4096;

}  // namespace

void EventAggregator::forget_old(SteadyTime now) {
  if (kin_.size() < kRemembered) {
    return;
  }
  std::erase_if(kin_, [&](const auto& entry) { return now - entry.second.last > kInterval; });
  if (kin_.size() >= kRemembered) {
    kin_.erase(kin_.begin());
  }
}

kube::Event EventAggregator::combine(const kube::Event& event) {
  const SteadyTime now = clock_.steady();
  forget_old(now);
  const auto& about = event.involved_object;
  Kin& kin = kin_[{about.kind, about.ns, about.name, about.uid, about.api_version, event.type, event.reason}];
  if (now - kin.last > kInterval) {
    kin = {};
  }
  kin.last = now;
  kin.messages.insert(event.message);
  if (kin.messages.size() < kMostMessages) {
    return event;
  }
  kin.messages.erase(kin.messages.begin());  // one more makes ten again
  const WallTime wall = clock_.wall();
  if (kin.combined.metadata.name.empty()) {
    kin.combined = event;
    kin.combined.metadata.name = fmt::format("{}.{:x}", about.name, wall.time_since_epoch().count());
    kin.combined.first_timestamp = wall;
    kin.combined.count = 0;
  }
  ++kin.combined.count;
  kin.combined.last_timestamp = wall;
  kin.combined.message = "(combined from similar events): " + event.message;
  return kin.combined;
}

}  // namespace keelson::agent
