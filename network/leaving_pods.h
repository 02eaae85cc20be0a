// SPDX-License-Identifier: Apache-2.0
// Which pods of this node are about to end, for as long as slices may name them. The control plane's word for a pod's
// end comes back to the node as an EndpointSlice after the pod's own containers have been told, mostly; so who ends
// pods tells here first.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"
#include "dataplane/translate/translator.h"
#include "kube/pod.h"

namespace keelson::network {

/// Pure but for what it remembers.
class LeavingPods {
 public:
  /// A pod begins to end. It counts until another pod has its address, on the host's network its name, or until 10
  /// minutes after it has gone. Or, not `for_good`, a container of it: then until the pod has told of another instance,
  /// or of none, and that all run; or, if the kill was taken back, until it would have been over.
  void leaves(const kube::Pod& pod, bool for_good);
  /// Another status of any pod of this node, or its end. Whether pods() has changed.
  bool pod_changed(const kube::Pod& pod, bool gone, SteadyTime now);
  std::vector<dataplane::LeavingPod> pods() const;

 private:
  struct Known {
    dataplane::LeavingPod pod;
    bool for_good = true;
    std::vector<std::string> instances;  // ids of its containers when it left
    bool seen_ended = false;             // one of them, since
    Duration grace{0};
    std::optional<SteadyTime> heard;  // first, since it left
    std::optional<SteadyTime> gone;
    bool is_back(const kube::Pod& now_so, SteadyTime now) const;
  };
  std::map<std::string, Known> known_;  // by uid
};

}  // namespace keelson::network
