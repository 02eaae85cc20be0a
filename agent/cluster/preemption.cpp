// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/preemption.h"

#include <algorithm>

#include "agent/critical_pod.h"
#include "kube/pod_qos.h"

namespace keelson::agent {

namespace {

using Pods = std::vector<const kube::Pod*>;

int64_t requested(const kube::Pod& pod, const std::string& resource) {
  if (resource == "pods") {
    return 1;
  }
  const auto requests = kube::pod_requests(pod);
  const auto found = requests.find(resource);
  return found == requests.end() ? 0 : amount(resource, found->second);
}

/// What is still lacking once these have gone.
Shortage without(Shortage shortage, const Pods& gone) {
  for (const kube::Pod* pod : gone) {
    for (auto& [resource, amount] : shortage) {
      amount -= requested(*pod, resource);
    }
  }
  std::erase_if(shortage, [](const auto& entry) { return entry.second <= 0; });
  return shortage;
}

/// How far a pod is from what is lacking: of each resource by its share, so that all weigh the same.
double distance(const kube::Pod& pod, const Shortage& shortage) {
  double sum = 0;
  for (const auto& [resource, amount] : shortage) {
    const auto left = static_cast<double>(amount - requested(pod, resource)) / static_cast<double>(amount);
    sum += left > 0 ? left * left : 0;
  }
  return sum;
}

/// What one pod costs whoever loses it.
auto cost(const kube::Pod& pod) {
  return std::pair(requested(pod, "memory"), requested(pod, "cpu"));
}

/// Of these alone, as few as may be.
Pods nearest(Pods from, Shortage shortage) {
  Pods chosen;
  while (!shortage.empty() && !from.empty()) {
    const auto best = std::ranges::min_element(
        from, {}, [&](const kube::Pod* pod) { return std::pair(distance(*pod, shortage), cost(*pod)); });
    chosen.push_back(*best);
    shortage = without(std::move(shortage), {*best});
    from.erase(best);
  }
  return chosen;
}

Pods joined(Pods a, const Pods& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace

bool may_preempt(const kube::Pod& preemptor, const kube::Pod& preemptee) {
  if (is_critical(preemptor) && !is_critical(preemptee)) {
    return true;
  }
  return preemptor.spec.priority && preemptee.spec.priority && *preemptor.spec.priority > *preemptee.spec.priority;
}

std::optional<Pods> preempted_for(const kube::Pod& pod, const Pods& others, const Shortage& shortage) {
  std::map<kube::QosClass, Pods> of;
  for (const kube::Pod* other : others) {
    if (may_preempt(pod, *other)) {
      of[kube::qos_class(*other)].push_back(other);
    }
  }
  const auto& best_effort = of[kube::QosClass::best_effort];
  const auto& burstable = of[kube::QosClass::burstable];
  const auto& guaranteed = of[kube::QosClass::guaranteed];
  if (!without(shortage, joined(joined(best_effort, burstable), guaranteed)).empty()) {
    return std::nullopt;
  }
  // The dearest first: what would be needed of them if all that is cheaper had gone.
  const auto dear = nearest(guaranteed, without(shortage, joined(best_effort, burstable)));
  const auto middle = nearest(burstable, without(shortage, joined(best_effort, dear)));
  const auto cheap = nearest(best_effort, without(shortage, joined(middle, dear)));
  return joined(joined(cheap, middle), dear);
}

}  // namespace keelson::agent
