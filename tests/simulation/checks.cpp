// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/checks.h"

#include <fmt/format.h>

#include <algorithm>

#include <boost/json/serialize.hpp>

#include "kube/full_node.h"
#include "kube/lease.h"
#include "tests/simulation/pod_rules.h"

namespace keelson::simulation {

namespace {

constexpr const char* kMirror = "kubernetes.io/config.mirror";
constexpr const char* kScheme = "keelson://";

std::string name_of(const kube::Pod& pod) {
  return fmt::format("{} ({})", full_name(pod.metadata), pod.metadata.uid);
}

/// The pod that the object stands for.
std::string uid_on_node(const kube::Pod& pod) {
  const auto mirror = pod.metadata.annotations.find(kMirror);
  return mirror == pod.metadata.annotations.end() ? pod.metadata.uid : mirror->second;
}

std::string names(const std::map<std::string, std::string>& uids) {
  std::string text;
  for (const auto& [name, uid] : uids) {
    text += fmt::format(" {} ({})", name, uid);
  }
  return text;
}

std::string bare_id(const std::string& id) {
  return id.starts_with(kScheme) ? id.substr(std::string_view(kScheme).size()) : id;
}

const kube::ContainerStatus* find_status(const kube::PodStatus& status, const std::string& name) {
  const auto it = std::ranges::find(status.container_statuses, name, &kube::ContainerStatus::name);
  return it == status.container_statuses.end() ? nullptr : &*it;
}

const agent::ObservedContainer* newest(const Runtime& runtime, const std::string& uid, const std::string& name) {
  const agent::ObservedContainer* found = nullptr;
  for (const auto& [id, container] : runtime.containers) {
    if (container.name == name && runtime.owner(id) == uid &&
        (found == nullptr || container.attempt > found->attempt)) {
      found = &container;
    }
  }
  return found;
}

class Comparison {
 public:
  Comparison(ControlPlane& plane, const Runtime& runtime, const User& user)
      : plane_(plane), runtime_(runtime), user_(user) {}

  void pods();
  void sandboxes();
  void mirrors();
  void node(WallTime now);
  std::vector<std::string> take() { return std::move(found_); }

 private:
  void pod(const kube::Pod& pod);
  void container(const kube::Pod& pod, const kube::Container& spec);
  template <class... Args>
  void say(fmt::format_string<Args...> format, Args&&... args) {
    found_.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  ControlPlane& plane_;
  const Runtime& runtime_;
  const User& user_;
  std::set<std::string> wanted_;  // uids that are to run
  std::vector<std::string> found_;
};

void Comparison::pods() {
  for (const auto& [key, object] : plane_.store.all("pods")) {
    pod(typed_pod(*object));
  }
}

void Comparison::pod(const kube::Pod& pod) {
  const auto uid = uid_on_node(pod);
  if (pod.metadata.deletion_timestamp) {
    if (pod.metadata.finalizers.empty()) {
      say("{} is still being deleted", name_of(pod));
    }
    if (runtime_.runs(uid)) {
      say("{} is deleted and runs", name_of(pod));
    }
    return;
  }
  if (is_final(pod.status.phase)) {
    if (runtime_.runs(uid)) {
      say("{} is final and runs", name_of(pod));
    }
    return;
  }
  wanted_.insert(uid);
  const auto sandboxes = std::ranges::count_if(
      runtime_.sandboxes, [&](const auto& entry) { return entry.second.pod.uid == uid && entry.second.seen.ready; });
  if (sandboxes != 1) {
    say("{} has {} sandboxes", name_of(pod), sandboxes);
  }
  if (pod.status.phase != kube::PodPhase::running || pod.status.pod_ip.empty() || !pod.status.message.empty()) {
    say("{} runs and its status says {}", name_of(pod),
        json::serialize(plane_.store.find("pods", full_name(pod.metadata))->at("status")));
  }
  for (const auto& spec : pod.spec.containers) {
    container(pod, spec);
  }
}

void Comparison::container(const kube::Pod& pod, const kube::Container& spec) {
  const auto* there = newest(runtime_, uid_on_node(pod), spec.name);
  const auto* said = find_status(pod.status, spec.name);
  if (there == nullptr || said == nullptr) {
    say("{}: container {} is {} there, and {} in the status", name_of(pod), spec.name, there != nullptr ? "" : "not",
        said != nullptr ? "" : "not");
    return;
  }
  const bool running = there->state == agent::RunState::running;
  if (bare_id(said->container_id) != there->id || said->state.running.has_value() != running ||
      said->restart_count != static_cast<int32_t>(there->attempt) ||
      (running && there->image != "" && said->image != there->image)) {
    say("{}: container {} is {} ({}, attempt {}), the API says {} ({}, restarts {})", name_of(pod), spec.name,
        there->id, running ? "running" : "not running", there->attempt, said->container_id,
        said->state.running ? "running" : "not running", said->restart_count);
  }
}

void Comparison::sandboxes() {
  for (const auto& [id, sandbox] : runtime_.sandboxes) {
    if (sandbox.seen.ready && !wanted_.contains(sandbox.pod.uid)) {
      say("sandbox {} of {} ({}) is there, and no pod wants it", id, full_name(sandbox.pod), sandbox.pod.uid);
    }
  }
  for (const auto& uid : runtime_.prepared) {
    const bool known = std::ranges::any_of(
        plane_.store.all("pods"), [&](const auto& entry) { return uid_on_node(typed_pod(*entry.second)) == uid; });
    if (!known) {
      say("folders of {} are left", uid);
    }
  }
}

void Comparison::mirrors() {
  std::map<std::string, std::string> there;
  for (const auto& [key, object] : plane_.store.all("pods")) {
    const auto pod = typed_pod(*object);
    if (uid_on_node(pod) != pod.metadata.uid) {
      there[key] = uid_on_node(pod);
    }
  }
  if (there != user_.statics()) {
    say("mirror pods are {}, manifests are {}", names(there), names(user_.statics()));
  }
}

void Comparison::node(WallTime now) {
  const auto object = plane_.store.find("nodes", kNodeName);
  if (!object) {
    return say("there is no Node");
  }
  const auto node = kube::decode_full_node(json::serialize(*object));
  const auto* ready = agent::find_condition(node->status, "Ready");
  if (ready == nullptr || ready->status != kube::ConditionStatus::true_status) {
    say("the Node is not Ready");
  }
  const auto lease = plane_.store.find("leases", fmt::format("kube-node-lease/{}", kNodeName));
  const auto typed =
      lease ? kube::decode_lease(json::serialize(*lease)) : Result<kube::Lease>(fail(Kind::not_found, ""));
  if (!typed || now - typed->renew_time.value_or(WallTime()) > std::chrono::seconds(15)) {
    say("the Lease is not renewed");
  }
}

}  // namespace

std::vector<std::string> differences(ControlPlane& plane, const Runtime& runtime, const User& user, WallTime now) {
  Comparison comparison(plane, runtime, user);
  comparison.pods();
  comparison.sandboxes();
  comparison.mirrors();
  comparison.node(now);
  return comparison.take();
}

void Checks::status_written(const json::object& before, const json::object& after) {
  const auto old = typed_pod(before);
  const auto now = typed_pod(after);
  const auto uid = uid_on_node(now);
  if (is_final(old.status.phase) && old.status.phase != now.status.phase) {
    wrong(fmt::format("{} was final, and is {}", name_of(now), kube::to_string(*now.status.phase)));
  }
  if (old.status.phase == kube::PodPhase::running && now.status.phase == kube::PodPhase::pending) {
    wrong(fmt::format("{} was Running, and is Pending", name_of(now)));
  }
  if (old.status.start_time && old.status.start_time != now.status.start_time) {
    wrong(fmt::format("{}: another startTime", name_of(now)));
  }
  if (now.status.observed_generation < old.status.observed_generation) {
    wrong(fmt::format("{}: observedGeneration goes back", name_of(now)));
  }
  for (const auto& container : now.status.container_statuses) {
    if (const auto id = bare_id(container.container_id); !id.empty() && runtime->owner(id) != uid) {
      wrong(fmt::format("{}: its status shows container {} of {}", name_of(now), id, runtime->owner(id)));
    }
    const auto* was = find_status(old.status, container.name);
    if (was == nullptr) {
      continue;
    }
    if (container.restart_count < was->restart_count) {
      wrong(fmt::format("{}: restarts of {} go back from {} to {}", name_of(now), container.name, was->restart_count,
                        container.restart_count));
    }
    if (was->state.terminated && container.state.running && was->container_id == container.container_id) {
      wrong(fmt::format("{}: container {} runs after its end", name_of(now), container.container_id));
    }
  }
}

void Checks::deletion_asked(const json::object& object) {
  const auto pod = typed_pod(object);
  if (pod.metadata.annotations.contains(kMirror)) {
    return;  // a mirror pod's object may go while the static pod runs
  }
  if (!pod.metadata.deletion_timestamp) {
    wrong(fmt::format("{} is deleted by the node alone", name_of(pod)));
  }
  if (runtime->runs(pod.metadata.uid)) {
    wrong(fmt::format("{} is deleted while it runs", name_of(pod)));
  }
}

void Checks::node_written(const json::object&, const json::object& after) {
  const auto node = kube::decode_full_node(json::serialize(after));
  const auto* ready = node ? agent::find_condition(node->status, "Ready") : nullptr;
  if (ready != nullptr && ready->status == kube::ConditionStatus::unknown) {
    wrong("the Node says that it does not know itself");
  }
}

void Checks::lease_written(const json::object& before, const json::object& after) {
  const auto old = kube::decode_lease(json::serialize(before));
  const auto now = kube::decode_lease(json::serialize(after));
  if (old && now && now->renew_time < old->renew_time) {
    wrong("the Lease's time goes back");
  }
}

}  // namespace keelson::simulation
