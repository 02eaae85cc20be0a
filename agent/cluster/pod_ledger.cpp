// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/pod_ledger.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/cluster/preemption.h"
#include "agent/critical_pod.h"
#include "common/log.h"
#include "kube/status_patch.h"

namespace keelson::agent {

namespace {

std::vector<kube::PodCondition> conditions_of_others(const kube::PodStatus& status) {
  std::vector<kube::PodCondition> found;
  std::ranges::copy_if(status.conditions, std::back_inserter(found),
                       [](const auto& c) { return !kube::is_condition_of_node(c.type); });
  return found;
}

/// Whether a pod's new version holds nothing that a worker has to know.
bool only_our_words(const kube::Pod& before, const kube::Pod& after) {
  kube::ObjectMeta meta = after.metadata;
  meta.resource_version = before.metadata.resource_version;
  return meta == before.metadata && after.spec == before.spec &&
         is_final(before.status.phase) == is_final(after.status.phase) &&
         conditions_of_others(before.status) == conditions_of_others(after.status);
}

}  // namespace

PodLedger::PodLedger(LedgerOptions options) : options_(std::move(options)) {}

void PodLedger::adopt(std::set<std::string> uids) {
  admitted_.merge(uids);
}

bool PodLedger::node_is(std::optional<kube::OwnNode> node) {
  const bool same = node && node_ && node->metadata.uid == node_->metadata.uid &&
                    node->metadata.labels == node_->metadata.labels && node->taints == node_->taints &&
                    node->allocatable == node_->allocatable &&
                    node->supplemental_groups_policy == node_->supplemental_groups_policy;
  node_ = std::move(node);
  return !std::exchange(node_known_, true) || !same;
}

void PodLedger::manifests(kube::DesiredState state, WallTime now) {
  std::map<std::string, kube::Pod> pods;
  for (auto& [key, pod] : state.pods) {
    pod.metadata.name += "-" + options_.node_name;
    pod.spec.node_name = options_.node_name;
    // As the kubelet: a static pod stays whatever the node's taints are.
    pod.spec.tolerations.push_back(
        {.key = "", .op = "Exists", .value = "", .effect = "NoExecute", .toleration_seconds = std::nullopt});
    auto& annotations = pod.metadata.annotations;
    annotations[kConfigSource] = "file";
    annotations["kubernetes.io/config.hash"] = pod.metadata.uid;
    auto name = kube::full_name(pod.metadata);
    auto known = statics_.find(name);
    annotations["kubernetes.io/config.seen"] = known != statics_.end() && known->second.metadata.uid == pod.metadata.uid
                                                   ? known->second.metadata.annotations["kubernetes.io/config.seen"]
                                                   : format_rfc3339_nano(now);
    pods.emplace(std::move(name), std::move(pod));
  }
  const auto before = std::exchange(statics_, std::move(pods));
  for (const auto& [name, pod] : before) {
    if (!is_there(pod.metadata.uid)) {
      forget(pod.metadata.uid);
    }
  }
  state.pods.clear();
  folder_ = std::move(state);
  folder_read_ = true;
}

/// The pod has what it was given; what the API wants instead is to be judged.
void PodLedger::keep_resources(kube::Pod& pod, const kube::Pod* known) {
  const auto& uid = pod.metadata.uid;
  if (!admitted_.contains(uid)) {
    return;
  }
  const bool same = known != nullptr && known->metadata.uid == uid;
  const auto given = same ? resources_of(*known) : resources_given(pod);
  auto wanted = resources_of(pod);
  if (same) {
    const auto waiting = resizes_.find(uid);
    count_requested(waiting != resizes_.end() ? waiting->second.wanted : given, wanted, requested_resizes_);
  }
  if (wanted == given) {
    resizes_.erase(uid);
    return;
  }
  auto& resize = resizes_[uid];
  if (resize.wanted != wanted) {
    resize = {.pod = kube::full_name(pod.metadata), .wanted = std::move(wanted)};
  }
  set_resources(pod, given);
}

/// True if there is something new in it. `before`: of the API's, as they were.
bool PodLedger::put(kube::Pod pod, const std::map<std::string, kube::Pod>& before) {
  auto name = kube::full_name(pod.metadata);
  const bool mirror = is_mirror(pod);
  auto& there = mirror ? mirrors_ : pods_;
  const auto known = before.find(name);
  bool news = mirror || known == before.end();
  if (!news) {
    kube::Pod wanted = known->second;
    if (const auto resize = resizes_.find(wanted.metadata.uid); resize != resizes_.end()) {
      set_resources(wanted, resize->second.wanted);
    }
    news = !only_our_words(wanted, pod);
  }
  if (auto source = pod.metadata.annotations.find(kConfigSource); !mirror && source != pod.metadata.annotations.end()) {
    source->second = "api";  // nobody makes a static pod by an annotation
  }
  if (!mirror && (is_final(pod.status.phase) || pod.status.start_time)) {
    admitted_.insert(pod.metadata.uid);  // a node has seen it before
  }
  if (!mirror) {
    keep_resources(pod, known != before.end() ? &known->second : nullptr);
  }
  there.insert_or_assign(std::move(name), std::move(pod));
  return news;
}

void PodLedger::synced(std::vector<kube::Pod> pods, bool some_left_out) {
  const auto before = std::exchange(pods_, {});
  mirrors_.clear();
  for (auto& pod : pods) {
    put(std::move(pod), before);
  }
  synced_ = true;
  left_out_ = some_left_out;
  std::erase_if(resizes_, [&](const auto& entry) { return !is_there(entry.first); });
  if (options_.has_manifests && !folder_read_) {
    return;  // of what was adopted, something may be static
  }
  some_left_ = std::erase_if(admitted_, [&](const auto& uid) { return !is_there(uid); }) > 0 || some_left_;
  std::erase_if(refused_, [&](const auto& entry) { return !is_there(entry.first); });
  for (auto* uids : {&ended_, &stopped_, &preempted_}) {
    std::erase_if(*uids, [&](const auto& uid) { return !is_there(uid); });
  }
}

bool PodLedger::is_there(const std::string& uid) const {
  const auto has_it = [&](const auto& entry) { return entry.second.metadata.uid == uid; };
  return std::ranges::any_of(pods_, has_it) || std::ranges::any_of(statics_, has_it);
}

bool PodLedger::stopped(const std::string& uid) {
  some_left_ = true;
  return stopped_.insert(uid).second;
}

void PodLedger::forget(const std::string& uid) {
  some_left_ = true;
  admitted_.erase(uid);
  refused_.erase(uid);
  resizes_.erase(uid);
  for (auto* uids : {&ended_, &stopped_, &preempted_}) {
    uids->erase(uid);
  }
}

bool PodLedger::changed(kube::Changes<kube::Pod> changes) {
  bool news = false;
  for (const auto& gone : changes.removed) {
    // A newer one of the name may be known from a request's answer, ahead of the watch.
    const auto is_meant = [&](const kube::Pod& pod) { return gone.uid.empty() || pod.metadata.uid == gone.uid; };
    if (auto it = pods_.find(gone.name); it != pods_.end() && is_meant(it->second)) {
      forget(it->second.metadata.uid);
      pods_.erase(it);
      news = true;
    }
    if (auto it = mirrors_.find(gone.name); it != mirrors_.end() && is_meant(it->second)) {
      mirrors_.erase(it);
      news = true;
    }
  }
  for (auto& pod : changes.changed) {
    news = put(std::move(pod), pods_) || news;
  }
  return news;
}

void PodLedger::ended(const std::string& uid) {
  if (std::ranges::any_of(pods_, [&](const auto& entry) { return entry.second.metadata.uid == uid; })) {
    ended_.insert(uid);
  }
}

bool PodLedger::complete() const {
  return synced_ && !left_out_ && node_known_ && (folder_read_ || !options_.has_manifests);
}

AdmissionNode PodLedger::admission_node() const {
  AdmissionNode node{.name = options_.node_name,
                     .labels = options_.labels,
                     .taints = {},
                     .allocatable = options_.allocatable,
                     .allotted = allotted_,
                     .pressures = pressures_,
                     .shutting_down = shutting_down_,
                     .sysctls = options_.sysctls,
                     .apparmor = options_.apparmor,
                     .static_cpus = options_.static_cpus};
  if (node_) {
    node.labels = node_->metadata.labels;
    node.taints = node_->taints;
    for (const auto& [name, amount] : node_->allocatable) {
      node.allocatable[name] = amount;
    }
    node.strict_groups = node_->supplemental_groups_policy.value_or(false);
  }
  return node;
}

/// That take resources now.
std::vector<const kube::Pod*> PodLedger::active_pods() const {
  std::vector<const kube::Pod*> active;
  for (const auto* pods : {&statics_, &pods_}) {
    for (const auto& [name, pod] : *pods) {
      const auto& uid = pod.metadata.uid;
      if (admitted_.contains(uid) && !refused_.contains(uid) && !ended_.contains(uid) && !stopped_.contains(uid) &&
          !is_final(pod.status.phase)) {
        active.push_back(&pod);
      }
    }
  }
  return active;
}

/// A static pod does not wait for an API server, which it may be itself.
void PodLedger::judge(WallTime now) {
  std::vector<const kube::Pod*> fresh;
  const auto add = [&](const std::map<std::string, kube::Pod>& pods) {
    for (const auto& [name, pod] : pods) {
      if (!admitted_.contains(pod.metadata.uid)) {
        fresh.push_back(&pod);
      }
    }
  };
  add(statics_);
  if (synced_ && node_known_) {
    add(pods_);
  }
  std::ranges::stable_sort(fresh, {},
                           [](const kube::Pod* pod) { return pod->metadata.creation_timestamp.value_or(WallTime()); });
  const auto node = admission_node();
  for (const kube::Pod* pod : fresh) {
    const auto& uid = pod->metadata.uid;
    // What is to be deleted anyway is not worth a word.
    auto refusal = pod->metadata.deletion_timestamp ? std::nullopt : admit(*pod, active_pods(), node);
    if (refusal && !refusal->shortage.empty() && makes_room(*pod, node, *refusal)) {
      continue;
    }
    admitted_.insert(uid);
    if (!refusal) {
      continue;
    }
    kube::PodStatus status = pod->status;
    status.phase = kube::PodPhase::failed;
    status.reason = refusal->reason;
    status.message = "Pod was rejected: " + refusal->message;
    status.start_time = now;
    refused_[uid] = std::move(status);
    rejected_.push_back({*pod, *std::move(refusal)});
  }
}

bool PodLedger::makes_room(const kube::Pod& pod, const AdmissionNode& node, Rejection& refusal) {
  auto others = active_pods();
  std::erase_if(others, [this](const kube::Pod* other) { return preempted_.contains(other->metadata.uid); });
  const auto lacking = admit(pod, others, node);
  if (!lacking) {
    return true;  // once those have ended that are about to
  }
  const auto chosen = preempted_for(pod, others, lacking->shortage);
  if (!chosen) {
    std::string list;
    for (const auto& [resource, quantity] : lacking->shortage) {
      list += fmt::format("(res: {}, q: {}), ", resource, quantity);
    }
    refusal = {"UnexpectedAdmissionError",
               fmt::format("Unexpected error while attempting to recover from admission failure: preemption: error "
                           "finding a set of pods to preempt: no set of running pods found to reclaim resources: [{}]",
                           list)};
    return false;
  }
  for (const kube::Pod* other : *chosen) {
    preempted_.insert(other->metadata.uid);
    preempting_.push_back({*other, lacking->shortage.begin()->first});
  }
  return true;
}

/// In the order of their pods' uids, which is as good as any: those that do not fit wait for others to leave.
void PodLedger::judge_resizes(WallTime now) {
  const auto node = admission_node();
  bool one_resized = false;
  for (auto it = resizes_.begin(); it != resizes_.end();) {
    auto& [uid, resize] = *it;
    kube::Pod& pod = pods_.at(resize.pod);
    auto others = active_pods();
    if (pod.metadata.deletion_timestamp || std::erase(others, &pod) == 0) {
      ++it;  // it does not take anything, or will not for long
      continue;
    }
    kube::Pod resized = pod;
    set_resources(resized, resize.wanted);
    const bool swaps = options_.limits_swap && resizes_swap(pod, resized);
    const auto refusal =
        swaps ? std::optional(ResizeRefusal{"Infeasible", "In-place resize of containers with swap is not supported.",
                                            "swap_limitation"})
              : judge_resize(resized, pod, others, node);
    if (!refusal) {
      if (resize.condition && resize.condition->reason == "Deferred") {
        accepted_late_.add({{"retry_trigger", one_resized  ? "pod_resized"
                                              : some_left_ ? "pods_removed"
                                                           : "pod_updated"}});
      }
      one_resized = true;
      pod = std::move(resized);
      it = resizes_.erase(it);
      continue;
    }
    if (!resize.condition || resize.condition->reason != refusal->reason ||
        resize.condition->message != refusal->message) {
      const bool infeasible = refusal->reason == "Infeasible";
      if (infeasible && (!resize.condition || resize.condition->reason != refusal->reason)) {
        infeasible_resizes_.add({{"reason_detail", refusal->detail}});
      }
      resize.condition =
          kube::PodCondition{.type = kube::kResizePending,
                             .status = kube::ConditionStatus::true_status,
                             .observed_generation = pod.metadata.generation,
                             .last_transition_time = resize.condition ? resize.condition->last_transition_time : now,
                             .reason = refusal->reason,
                             .message = refusal->message};
    }
    ++it;
  }
  some_left_ = false;
}

kube::DesiredState PodLedger::wanted(WallTime now) {
  kube::DesiredState state = folder_;
  state.complete = complete();
  judge(now);
  if (synced_ && node_known_) {
    judge_resizes(now);
  }
  for (const auto& [name, pod] : statics_) {
    if (admitted_.contains(pod.metadata.uid)) {
      auto& wanted = state.pods.emplace(name, pod).first->second;
      if (auto refused = refused_.find(pod.metadata.uid); refused != refused_.end()) {
        wanted.status = refused->second;
      }
    }
  }
  for (const auto& [name, pod] : pods_) {
    const auto& uid = pod.metadata.uid;
    if (ended_.contains(uid) || !admitted_.contains(uid)) {
      continue;
    }
    auto [it, fresh] = state.pods.emplace(name, pod);
    if (auto refused = refused_.find(uid); fresh && refused != refused_.end() && !is_final(pod.status.phase)) {
      it->second.status = refused->second;
    }
    std::erase_if(it->second.status.conditions, [](const auto& c) { return c.type == kube::kResizePending; });
    if (const auto resize = resizes_.find(uid); fresh && resize != resizes_.end() && resize->second.condition) {
      it->second.status.conditions.push_back(*resize->second.condition);
    }
  }
  return state;
}

std::vector<RejectedPod> PodLedger::take_rejected() {
  return std::exchange(rejected_, {});
}

std::vector<PreemptedPod> PodLedger::take_preempted() {
  return std::exchange(preempting_, {});
}

References PodLedger::references() const {
  References found;
  for (const kube::Pod* pod : active_pods()) {
    if (!statics_.contains(kube::full_name(pod->metadata))) {
      found.merge(references_of(*pod));
    }
  }
  return found;
}

}  // namespace keelson::agent
