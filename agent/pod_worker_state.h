// SPDX-License-Identifier: Apache-2.0
// A worker's inside, shared by its loop (pod_worker.cpp) and its steps (pod_worker_start.cpp, pod_worker_kill.cpp).
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "agent/pod_worker.h"

namespace keelson::agent {

struct PodWorker::State : std::enable_shared_from_this<PodWorker::State> {
  State(WorkerShared& s, kube::Pod p)
      : shared(s),
        pod(std::move(p)),
        timeline(s.loop.clock()),
        one_stopped(s.loop.io()),
        wake(s.loop.io()),
        interrupt(s.loop.io()) {
    one_stopped.expires_at(asio::steady_timer::time_point::max());
    wake.expires_at(asio::steady_timer::time_point::max());
    interrupt.expires_at(asio::steady_timer::time_point::max());
    ask("create");
  }

  struct Pass {
    std::string_view why;
    SteadyTime since;
  };

  /// An image that a container cannot do without: its own, or one that it mounts.
  struct WantedImage {
    std::string reference;
    std::optional<kube::PullPolicy> policy;
    std::string container;  ///< That waits for it.
    std::string subject;    ///< Of the events: the container, or none, for a volume is the pod's.
  };

  WorkerShared& shared;
  kube::Pod pod;
  ObservedPod observed;
  PodMemory memory;
  Plan plan;
  Timeline timeline;
  std::set<std::string> pre_stopped;  // instances whose preStop hook was run
  std::set<std::string> stopped;      // instances that we have ended
  asio::steady_timer one_stopped;     // cancelled when one is added
  std::optional<SteadyTime> overdue;  // when the node's own end of the pod has taken too long
  std::set<std::string> backing_off;  // instances whose back-off was told
  // images that this plan's steps lack, by volume
  std::map<std::string, std::pair<StartTrouble, Error>> failed_volumes;
  bool has_left = false;      // services send the pod nothing more, as far as we can have it so
  bool starts_users = false;  // a sandbox with a user namespace was tried, and no container since
  bool dirty = false;         // look again without waiting
  bool interrupted = false;   // drop what is being carried out
  std::optional<Pass> asked;  // what the next look is for
  Duration retry{0};          // the wait after a step that failed and has no trouble of its own
  asio::steady_timer wake;
  asio::steady_timer interrupt;

  WallTime now() const { return shared.loop.clock().wall(); }
  void poke(std::string_view why = "sync") {
    dirty = true;
    ask(why);
    wake.cancel();
  }
  void stop_current(std::string_view why) {
    interrupted = true;
    interrupt.cancel();
    poke(why);
  }
  /// Somebody wants it to look, in the kubelet's word for that: counted from here on.
  void ask(std::string_view why) {
    if (!asked) {
      asked = Pass{why, shared.loop.clock().steady()};
    } else if (why == "kill") {
      asked->why = why;
    }
  }
  Pass take_asked() { return std::exchange(asked, std::nullopt).value_or(Pass{"sync", shared.loop.clock().steady()}); }
  void has_done(const Pass& pass, std::string_view why) {
    shared.stats.pass(why, shared.loop.clock().steady() - pass.since);
  }
  EventRecorder::Subject subject(std::string_view container = {}) const;
  /// "container", "init_container", "ephemeral_container".
  std::string container_type(std::string_view name) const;
  void record(std::string_view container, EventType type, std::string_view reason, std::string message);
  void publish();
  void tell_resized(const kube::PodStatus& before);

  // pod_worker.cpp
  bool retry_inputs();
  void ask_plan();
  void tell_back_off();
  void tell_pull_back_off();
  Task<> wait_poke();
  Task<> wait_interrupt();
  Task<> wait_for_change();
  Task<> carry_out(Plan what);
  Task<> carry_out_step(Step step);

  // pod_worker_probes.cpp
  void learn();
  void learn_instance(const kube::Container& container, const ObservedContainer& instance);
  void tell_failed_hook(const kube::Container& container, const ObservedContainer& instance, ContainerMemory& known);
  void hear(const ProbeNews& news);
  void keep_probed(const kube::Container& container, const ContainerMemory& known);
  void forget_probed();

  // pod_worker_start.cpp
  Task<> prepare();
  ObservedResources resources_of(const kube::Container& container) const;
  Task<> await_network();
  Task<> create_sandbox(uint32_t attempt);
  Task<> start_container(Step step);
  std::string target_of(const std::string& name) const;
  Task<> resize_container(Step step);
  Task<> post_start(kube::Container container, std::string id);
  void set_trouble(const std::string& name, std::string reason, std::string message, Duration delay,
                   std::string image = {});

  // pod_worker_images.cpp
  Task<std::string> provide_image(WantedImage wanted);
  Task<std::string> provide_volume(kube::Volume volume, std::string container);
  Task<std::map<std::string, std::string>> provide_image_volumes(kube::Container container, std::string sandbox);

  // pod_worker_kill.cpp
  Task<> leave_services(bool for_good);
  Task<> kill_container(Step step);
  Task<> call_hook(kube::LifecycleHandler handler, kube::Container container, std::string id, Duration limit);
  Task<> pre_stop(kube::Container container, Step step);
  Task<> wait_stopped(std::vector<std::string> ids);
  Task<> kill_all(std::vector<Step> steps, size_t from);
  Task<> tell_overdue();
  Task<> end_containers(std::vector<Step> kills);
  void tell_failed_kill(const Error& error);
};

}  // namespace keelson::agent
