// SPDX-License-Identifier: Apache-2.0
// What a pod needs done next: a pure function from what is wanted and what is there.
//
// A pod's life, as the steps of plan() drive it (a worker carries them out, observes again, and asks again):
//
//   sync ----------------> prepare, create sandbox, init containers in order (sidecars stay), containers, restarts
//     | deadline, all ended, removed
//     v
//   ending --------------> kill all (hooks at once; SIGTERM to sidecars after the mains, in reverse order), then stop
//   the sandbox
//     | nothing runs            | pod still wanted: its phase is final, its dead containers stay for logs
//     v                         v
//   removing                 finished: volumes and cgroup have gone
//     | pod no longer wanted: containers, sandboxes, and all files go
//     v
//   gone
//
// Rules are those of the kubelet (pkg/kubelet/kuberuntime computePodActions); the numbers are in LifecycleTimes.
// Back-off needs no memory: each instance is created with the delay that must pass after its own end, so it survives an
// agent restart.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config/resources.h"
#include "agent/observed.h"
#include "kube/pod.h"

namespace keelson::agent {

/// The numbers of restarting. Defaults are the kubelet's.
struct LifecycleTimes {
  Duration restart_initial = std::chrono::seconds(10);
  Duration restart_max = std::chrono::seconds(300);
  Duration restart_reset = std::chrono::seconds(600);  ///< An instance that lived longer starts the back-off anew.
  Duration pull_initial = std::chrono::seconds(10);
  Duration pull_max = std::chrono::seconds(300);
  Duration create_retry = std::chrono::seconds(10);  ///< After a config or create error of a container.
  CpuQuotas quotas;                                  ///< Of running containers, to which they are held.
  Duration sandbox_retry = std::chrono::seconds(1);  ///< After a failed sandbox; doubles up to create_retry.
};

/// Why a container that should run does not, and when to try again.
struct StartTrouble {
  std::string reason;  ///< "ErrImagePull", "CreateContainerConfigError" ...
  std::string message;
  WallTime retry_at{};
  Duration delay{0};
  std::string image = {};  ///< That cannot be pulled: the container's own, or one that it mounts.
  bool operator==(const StartTrouble&) const = default;
};

/// A probe or hook wants a container gone.
struct Condemned {
  std::string message;                ///< Of its Killing event.
  std::optional<int64_t> grace = {};  ///< The probe's own, in seconds; none: the pod's.
  bool restarts = false;              ///< It starts again after that, whatever its exit code.
};

/// What the worker knows of a container beyond what the runtime says; bound to the instance `id`.
struct ContainerMemory {
  std::string id;
  bool post_start_pending = false;  ///< The hook runs: the container does not count as running yet.
  bool started = false;             ///< The startup probe has passed, or there is none and it runs.
  bool ready = false;
  std::optional<Condemned> condemned;      ///< While it runs.
  bool restarts = false;                   ///< It was killed so as to start again, whatever restartPolicy says.
  std::optional<StartTrouble> trouble;     ///< Of the next instance.
  std::optional<ObservedResources> given;  ///< The resources that this agent gave it last.
  std::string post_start_error;            ///< Why it is killed, if its postStart hook failed.
  std::string resize_error;                ///< Why it could not be given others.
};

/// What the images of volumes are, by the names of these: found once for all containers of a sandbox, so that a tag
/// that moves is another image for a new pod alone (KEP-4639).
struct ImageVolumeRefs {
  std::string sandbox;
  std::map<std::string, std::string> refs = {};
};

/// A final phase, once decided.
struct Verdict {
  kube::PodPhase phase = kube::PodPhase::failed;
  std::string reason;
  std::string message;
  /// Of a condition DisruptionTarget=True with reason TerminationByKubelet: the node ends a pod that did nothing wrong.
  std::optional<std::string> disruption = {};
  bool operator==(const Verdict&) const = default;
};

/// What the worker remembers of the pod. All of it can be lost: a new agent rebuilds it from the runtime.
struct PodMemory {
  WallTime start_time{};  ///< status.startTime.
  bool removed = false;   ///< The source no longer has the pod.
  bool orphan = false;    ///< Never known by a source of this agent: only to be removed.
  std::optional<WallTime> ending_since;
  std::optional<int64_t> grace;    ///< Overrides the spec's; once given, only ever shorter.
  std::optional<Verdict> verdict;  ///< Evicted, DeadlineExceeded: decided from outside of the containers.
  std::optional<StartTrouble> sandbox_trouble;
  bool prepared = false;  ///< Volumes and cgroup are in place (of this agent's life).
  /// Once prepared: containers that no quota of CPU time holds, for their CPUs are their own.
  std::set<std::string> own_cpus = {};
  ImageVolumeRefs image_volumes = {};
  bool released = false;   ///< They have gone, for nothing will run any more.
  bool free_dead = false;  ///< Room is wanted: once the pod has ended, its dead containers go, too.
  bool cleaned = false;
  std::map<std::string, ContainerMemory, std::less<>> containers;
};

/// One thing to do. Fields that a kind does not name are empty.
struct Step {
  enum class Kind {
    prepare,           ///< Directories, cgroup, volumes.
    create_sandbox,    ///< `attempt`.
    stop_sandbox,      ///< `id`: kills what runs in it.
    remove_sandbox,    ///< `id`.
    start_container,   ///< `name`, `attempt`, `delay` (its restart_delay), `id` (the sandbox): pull, create, start.
    kill_container,    ///< `name`, `id`, `grace`, `message`, `after`, `restarts`: preStop, SIGTERM, SIGKILL.
    resize_container,  ///< `name`, `id`: gets the CPU and memory that its spec has now.
    remove_container,  ///< `id`, `name`, `with_log`.
    release,           ///< Volumes and cgroup go; logs stay.
    clean_up,          ///< All of the pod's files go.
  };
  Kind kind = Kind::prepare;
  std::string name = {};
  std::string id = {};
  uint32_t attempt = 0;
  Duration delay{0};
  Duration grace{0};  ///< For preStop, the wait for `after` and SIGTERM; the last gets a minimum of its own.
  std::string message = {};
  bool with_log = false;
  std::vector<std::string> after =
      {};                 ///< Instances that end before this one gets SIGTERM, if they do within the grace.
  bool restarts = false;  ///< The container starts again, whatever restartPolicy says.
  bool operator==(const Step&) const = default;
};
std::string_view to_string(Step::Kind kind);

/// What is to do now. Kills may be carried out at the same time; all else in order. Empty: nothing until something
/// changes or `wake` comes.
struct Plan {
  enum class Stage { sync, ending, finished, gone };
  Stage stage = Stage::sync;
  std::vector<Step> steps;
  std::optional<WallTime> wake;
  /// Containers whose next start waits for the end of a back-off, with that time.
  std::map<std::string, WallTime, std::less<>> backing_off;
};

/// The next steps. Pure. `pod` has its uid.
Plan plan(const kube::Pod& pod, const ObservedPod& observed, const PodMemory& memory, WallTime now,
          const LifecycleTimes& times);

/// Which final phase the pod has reached by what its containers did, or by memory.verdict; nullopt while it has none.
/// Sidecars' exit codes do not count.
std::optional<Verdict> verdict(const kube::Pod& pod, const ObservedPod& observed, const PodMemory& memory,
                               WallTime now);

/// Whether all that must end before the containers has ended: init containers done, sidecars started.
bool is_initialized(const kube::Pod& pod, const ObservedPod& observed, const PodMemory& memory);

/// Changes with the container's name and image alone (so an edit of its env or command never restarts it).
std::string spec_hash(const kube::Container& container);

/// How long after the end of `ended` the next instance may start; zero at once.
Duration restart_wait(const ObservedContainer& ended, const LifecycleTimes& times);
/// The restart_delay of the instance after `ended`.
Duration next_restart_delay(const ObservedContainer& ended, const LifecycleTimes& times);

}  // namespace keelson::agent
