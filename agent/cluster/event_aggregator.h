// SPDX-License-Identifier: Apache-2.0
// Events of one reason about one object, each with another message: after some, they are told as one (client-go's
// EventAggregator). A probe that fails with a new text each time would fill the API otherwise.
#pragma once

#include <chrono>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "common/clock.h"
#include "kube/event.h"

namespace keelson::agent {

/// Belongs to the agent's loop.
class EventAggregator {
 public:
  explicit EventAggregator(const Clock& clock) : clock_(clock) {}

  /// The event that is to be sent: this one, or, from the tenth message within ten minutes on, the one that stands for
  /// all its kin, whose count and message it then has: "(combined from similar events): ...".
  kube::Event combine(const kube::Event& event);

 private:
  using Key = std::tuple<std::string, std::string, std::string, std::string, std::string, std::string, std::string>;
  struct Kin {
    std::set<std::string> messages;
    SteadyTime last{};
    kube::Event combined;  ///< With a name once there is one.
  };
  void forget_old(SteadyTime now);

  const Clock& clock_;
  std::map<Key, Kin> kin_;
};

}  // namespace keelson::agent
