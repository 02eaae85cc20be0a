// SPDX-License-Identifier: Apache-2.0
// Events to the API: new ones posted, repeats of one told by patching its count, many that are alike as one
// (event_aggregator.h). Never holds anybody up: what cannot be sent waits in a bounded queue, and what does not fit
// there is dropped.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>

#include "agent/cluster/api_call.h"
#include "agent/cluster/event_aggregator.h"
#include "common/task_group.h"
#include "common/token_bucket.h"
#include "kube/event.h"

namespace keelson::agent {

/// The numbers of client-go's correlator and of the kubelet's eventRecordQPS, eventBurst.
struct EventLimits {
  size_t queue = 1000;  ///< Different events that wait.
  RateLimit requests = {.per_second = 50, .burst = 100};
  RateLimit about_one_object = {.per_second = 1.0 / 300, .burst = 25};
};

/// Belongs to the agent's loop.
class EventSender {
 public:
  /// While `others_first` says so, events wait for 3 s at the most: controllers wait for statuses, and people
  /// alone read events.
  EventSender(
      Loop& loop, ApiCall call, uint64_t seed, EventLimits limits = {},
      std::function<bool()> others_first = [] { return false; });

  /// As the recorder has it now: one that was told before has a higher count.
  void send(const kube::Event& event);
  size_t waiting() const { return queue_.size(); }
  Task<> close() { return tasks_.close(); }

 private:
  Task<> work();
  Task<> let_others_first();
  Task<bool> deliver(kube::Event event);
  bool is_spam(const kube::Event& event);

  Loop& loop_;
  const ApiCall call_;
  const EventLimits limits_;
  const std::function<bool()> others_first_;
  std::mt19937_64 random_;
  std::map<std::string, kube::Event> events_;  // that wait, by name
  std::deque<std::string> queue_;              // their names, the oldest first
  std::set<std::string> posted_;               // names that the API has
  std::deque<std::string> posted_order_;
  std::map<std::string, TokenBucket> objects_;
  EventAggregator aggregator_;
  TokenBucket requests_;
  bool working_ = false;
  TaskGroup tasks_;
};

}  // namespace keelson::agent
