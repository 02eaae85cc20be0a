// SPDX-License-Identifier: Apache-2.0
// The inside of the agent: what is wanted, and the workers that there are.
#pragma once

#include <fmt/format.h>

#include <map>
#include <set>

#include "agent/agent.h"
#include "agent/critical_pod.h"
#include "agent/pod_worker.h"
#include "common/log.h"
#include "common/task_group.h"

namespace keelson::agent {

/// nullopt: it is not to be deleted.
inline std::optional<int64_t> grace_of_deletion(const kube::Pod& pod) {
  if (!pod.metadata.deletion_timestamp) {
    return std::nullopt;
  }
  return pod.metadata.deletion_grace_period_seconds.value_or(pod.spec.termination_grace_period_seconds);
}

/// A pod's name's worker, and the pod of that name that waits for its end.
struct AgentEntry {
  std::unique_ptr<PodWorker> worker;
  std::optional<kube::Pod> next;
};

struct Agent::State {
  State(Loop& l, AgentOptions o, PodRuntime& r, ContainerProbes* p)
      : options(std::move(o)),
        loop(l),
        runtime(r),
        events(l.clock(), options.node_name),
        probed(options.probe_folder),
        shared{.loop = l,
               .runtime = r,
               .events = events,
               .probed = probed,
               .probes = p,
               .times = options.times,
               .node = options.node,
               .resync = options.resync},
        tasks(l),
        workers(l),
        changed(l.io()) {
    changed.expires_at(asio::steady_timer::time_point::max());
    shared.status_changed = [this](const kube::Pod& pod) { tell(pod, false); };
  }

  AgentOptions options;
  Loop& loop;
  PodRuntime& runtime;
  EventRecorder events;
  ProbeRecord probed;
  WorkerShared shared;
  TaskGroup tasks;  // the source, adoption
  TaskGroup workers;
  asio::steady_timer changed;              // cancelled when a worker ends, and by stop()
  std::map<std::string, AgentEntry> pods;  // by "namespace/name"; an orphan's key may have its uid behind
  std::map<std::string, SteadyTime> seen;  // when a pod was first wanted, by uid; of those that are
  std::set<std::string> told;              // problems of the source already told
  std::optional<kube::DesiredState> wanted;
  bool adopting = false;
  bool adopted = false;
  bool orphans_sought = false;  // among all pods of a complete state
  bool stopping = false;
  bool ended = false;
  std::shared_ptr<bool> in_run = std::make_shared<bool>(false);
  std::function<void(const kube::DesiredState&)> objects_listener = [](const kube::DesiredState&) {};
  std::vector<std::function<void(const kube::Pod&, bool)>> status_listeners;

  void tell(const kube::Pod& pod, bool gone) {
    changed.cancel();
    for (const auto& listener : status_listeners) {
      listener(pod, gone);
    }
  }

  void start_worker(const std::string& key, kube::Pod pod, bool orphan) {
    if (!pod.metadata.creation_timestamp) {
      pod.metadata.creation_timestamp = loop.clock().wall();
    }
    const auto grace = grace_of_deletion(pod);
    if (const auto since = seen.find(pod.metadata.uid); !orphan && since != seen.end()) {
      shared.stats.worker_started(loop.clock().steady() - since->second);
    }
    auto worker = std::make_unique<PodWorker>(shared, std::move(pod), orphan);
    PodWorker* running = worker.get();
    if (grace) {
      running->remove(*grace);
    }
    pods[key].worker = std::move(worker);
    workers.spawn("pod " + key, follow(key, running));
  }

  /// Runs a worker to its end, and starts the pod that waited for its name.
  Task<> follow(std::string key, PodWorker* worker) {
    KEELSON_CO_DO(co_await worker->run());
    auto it = pods.find(key);
    kube::Pod old = it->second.worker->pod();
    bool orphan = it->second.worker->is_orphan();
    std::optional<kube::Pod> next = std::move(it->second.next);
    pods.erase(it);
    if (!orphan) {
      tell(old, true);
    }
    changed.cancel();
    // Whoever was told may have called desired(), which has started the next one, or wants another by now.
    if (next && !stopping && !pods.contains(key)) {
      const auto newest = wanted->pods.find(key);
      if (next->metadata.uid == old.metadata.uid) {
        shared.stats.restarted(is_static(*next));
      }
      start_worker(key, newest != wanted->pods.end() ? newest->second : *std::move(next), false);
    }
    co_return Result<>();
  }

  void want_pod(const std::string& key, const kube::Pod& pod, bool objects) {
    auto it = pods.find(key);
    if (it == pods.end()) {
      start_worker(key, pod, false);
      return;
    }
    PodWorker& worker = *it->second.worker;
    const auto grace = grace_of_deletion(pod);
    if (worker.pod().metadata.uid != pod.metadata.uid || (worker.removed() && !grace)) {
      it->second.next = pod;
      worker.remove();
      return;
    }
    it->second.next.reset();
    kube::Pod update = pod;
    update.metadata.creation_timestamp = worker.pod().metadata.creation_timestamp;
    worker.update(std::move(update), objects);
    if (grace) {
      worker.remove(*grace);
    }
  }

  void tell_problems(const std::vector<kube::SourceProblem>& problems) {
    std::set<std::string> now;
    for (const auto& problem : problems) {
      now.insert(problem.text);
      if (told.contains(problem.text)) {
        continue;
      }
      if (problem.warning) {
        log::warning("manifest {}; it is ignored", problem.text);
        continue;
      }
      log::error("manifest {}; what its last good version held goes on", problem.text);
      kube::ObjectReference about{.kind = problem.kind.empty() ? "Node" : problem.kind,
                                  .ns = problem.kind.empty() || problem.ns.empty() ? "default" : problem.ns,
                                  .name = problem.name.empty() ? options.node_name : problem.name,
                                  .uid = {},
                                  .api_version = "v1",
                                  .resource_version = {},
                                  .field_path = {}};
      events.record(std::move(about), EventType::warning, "FailedValidation", problem.text);
    }
    told = std::move(now);
  }

  void remember_seen(const std::map<std::string, kube::Pod>& pods_now) {
    std::map<std::string, SteadyTime> now;
    for (const auto& [key, pod] : pods_now) {
      const auto before = seen.find(pod.metadata.uid);
      now.emplace(pod.metadata.uid, before != seen.end() ? before->second : loop.clock().steady());
    }
    seen = std::move(now);
  }

  void desired(kube::DesiredState state) {
    if (stopping) {
      return;
    }
    for (auto& [key, pod] : state.pods) {
      pod.spec.node_name = options.node_name;
    }
    remember_seen(state.pods);
    tell_problems(state.problems);
    objects_listener(state);
    const bool objects = !wanted || wanted->config_maps != state.config_maps || wanted->secrets != state.secrets ||
                         wanted->services != state.services;
    wanted = std::move(state);
    if (!adopting && !orphans_sought) {
      adopting = true;
      adopted = false;
      tasks.spawn("adopt pods", adopt());
    } else if (adopted) {
      apply_wanted(objects);
    }
  }

  void apply_wanted(bool objects) {
    for (auto& [key, entry] : pods) {
      if (wanted->complete && !wanted->pods.contains(key)) {
        entry.next.reset();
        entry.worker->remove();
      }
    }
    for (const auto& [key, pod] : wanted->pods) {
      want_pod(key, pod, objects);
    }
  }

  /// Pods that the runtime has and nobody wants are ended first; a wanted pod waits for an old one of its name. While
  /// the state is not complete, only such old ones are known to be unwanted, and with each state they are sought anew.
  Task<> adopt() {
    auto found = co_await runtime.list_pods();
    while (!found) {
      log::warning("look for pods of an earlier run: {}; trying again in 1 s", found.error().message());
      KEELSON_CO_DO(co_await loop.sleep(std::chrono::seconds(1)));
      found = co_await runtime.list_pods();
    }
    size_t orphans = 0;
    for (const auto& meta : *found) {
      const bool replaced = !meta.name.empty() && wanted->pods.contains(kube::full_name(meta));
      if (!is_known(meta.uid) && (wanted->complete || replaced) && !stopping) {
        remove_orphan(meta);
        ++orphans;
      }
    }
    shared.stats.orphans_sought(orphans, 0);
    orphans_sought = wanted->complete;
    adopting = false;
    adopted = true;
    if (!stopping) {
      apply_wanted(true);
    }
    co_return Result<>();
  }

  /// What an end left behind, or a runtime that came back with old pods, goes as it would after a restart of ours.
  Task<> seek_orphans() {
    while (!stopping) {
      KEELSON_CO_DO(co_await loop.sleep(options.orphan_period));
      if (!adopted || !orphans_sought || !wanted->complete) {
        continue;
      }
      std::set<std::string> before;  // may have gone when the answer comes
      for (const auto& [key, entry] : pods) {
        before.insert(entry.worker->pod().metadata.uid);
      }
      auto found = co_await runtime.list_pods();
      if (!found) {
        continue;
      }
      const size_t left = orphans_now();
      size_t orphans = left;
      for (const auto& meta : *found) {
        if (!before.contains(meta.uid) && !is_known(meta.uid) && wanted->complete && !stopping) {
          remove_orphan(meta);
          ++orphans;
        }
      }
      shared.stats.orphans_sought(orphans, left);
    }
    co_return Result<>();
  }

  /// Wanted, or some worker's.
  bool is_known(const std::string& uid) const {
    return std::ranges::any_of(wanted->pods, [&](const auto& entry) { return entry.second.metadata.uid == uid; }) ||
           std::ranges::any_of(pods, [&](const auto& entry) { return entry.second.worker->pod().metadata.uid == uid; });
  }

  size_t orphans_now() const {
    return static_cast<size_t>(
        std::ranges::count_if(pods, [](const auto& entry) { return entry.second.worker->is_orphan(); }));
  }

  void remove_orphan(const kube::ObjectMeta& meta) {
    kube::Pod orphan;
    orphan.metadata = meta;
    auto key = kube::full_name(meta);
    if (meta.name.empty() || pods.contains(key)) {
      key += " " + meta.uid;
    }
    shared.stats.orphan_found();
    log::info("pod {} ({}) is wanted by nobody: it is removed", key, meta.uid);
    start_worker(key, std::move(orphan), true);
  }

  const PodWorker* find(std::string_view ns, std::string_view name) const {
    auto it = pods.find(fmt::format("{}/{}", ns, name));
    return it == pods.end() || it->second.worker->is_orphan() ? nullptr : it->second.worker.get();
  }

  Task<> wait_changed() {
    co_await changed.async_wait(use_result);
    co_return Result<>();
  }
  Task<> wait_empty() {
    while (!pods.empty()) {
      KEELSON_CO_DO(co_await wait_changed());
    }
    co_return Result<>();
  }
  Task<> remove_all() {
    Duration longest{0};
    for (auto& [key, entry] : pods) {
      entry.next.reset();
      entry.worker->remove();
      longest =
          std::max<Duration>(longest, std::chrono::seconds(entry.worker->pod().spec.termination_grace_period_seconds));
    }
    auto outcome = co_await with_deadline<void>(loop, longest + options.stop_slack, wait_empty());
    if (!outcome) {
      std::string left;
      for (const auto& [key, entry] : pods) {
        left += " " + key;
      }
      co_return fail(Kind::timeout, "these pods could not be removed:{}", left);
    }
    co_return Result<>();
  }
};

}  // namespace keelson::agent
