// SPDX-License-Identifier: Apache-2.0
// Events of a runtime that tells none: it is asked for everything each second, and what differs is told (the kubelet's
// pod lifecycle event generator).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cri/client/client.h"

namespace keelson::cri {

/// What was listed last; the difference to a new listing. A value, of one thread.
class Relist {
 public:
  /// The events since the listing before; none for the first. In no order but that of ids.
  std::vector<ContainerEvent> update(const std::vector<SandboxStatus>& sandboxes,
                                     const std::vector<ContainerStatus>& containers);

 private:
  struct Seen {
    int state = 0;
    PodIdentity pod;
  };
  std::map<std::string, Seen> seen_;
  bool first_ = true;
};

struct Watch;
/// Lists every second until the watch is closed. A runtime that does not answer is asked again; then nothing is lost.
Task<> poll_events(Loop* loop, RuntimeClient* client, std::shared_ptr<Watch> watch);

}  // namespace keelson::cri
