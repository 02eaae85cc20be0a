// SPDX-License-Identifier: Apache-2.0
// What a worker asks of the world: sandboxes and containers by CRI, volumes and cgroups of the node, in the words of a
// pod's life.
//
// One implementation talks to a CRI runtime (cri_pod_runtime.h); the tests' one is a small world in memory. Every call
// ends by a deadline of its own (Kind::timeout), so that a hung one hurts one pod; every call may be repeated after a
// crash at any point.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/observed.h"
#include "common/loop.h"
#include "kube/pod.h"

namespace keelson::agent {

/// Whom an image's processes run as unless the pod says otherwise: a number, or a name that only the image can resolve.
/// Neither: root.
struct ImageUser {
  std::optional<int64_t> uid;
  std::string name;
};

/// What a container is made from.
struct ContainerOrder {
  kube::Pod pod;
  std::string name;
  std::string sandbox_id;
  std::vector<std::string> pod_ips;
  std::string image_ref;  ///< What pull_image or find_image answered.
  uint32_t attempt = 0;
  Duration restart_delay{0};
  /// Images that are mounted, by the names of their volumes; what pull_image or find_image answered.
  std::map<std::string, std::string> image_volumes = {};
  std::string target_id = {};        ///< Of the container whose processes an ephemeral one sees; empty: none's.
  ImageUser image_user = {};         ///< Found by the runtime; workers leave it empty.
  bool recursive_read_only = false;  ///< Likewise: the runtime can make a mount read-only with all that is below it.
};

/// What a command in a container did.
struct ExecOutcome {
  int32_t exit_code = 0;
  std::string output;
};

struct PulledImage {
  std::string ref;
  uint64_t size = 0;   ///< In bytes; 0: not known.
  Duration waited{0};  ///< For others' pulls, before this one began.
};

/// What a pod does not get, though it starts: an event of it.
struct PodWarning {
  std::string reason;
  std::string message;
};

/// All calls on the agent's loop. Pods come by value, so that a caller may change its own meanwhile.
class PodRuntime {
 public:
  virtual ~PodRuntime() = default;

  /// Every pod that anything is left of: in the runtime, or of prepare() alone (then its uid is all that is known).
  virtual Task<std::vector<kube::ObjectMeta>> list_pods() = 0;
  /// All of one pod, termination messages included.
  virtual Task<ObservedPod> observe(std::string uid) = 0;

  /// Folders, cgroup, volumes of the pod; idempotent. The error is the text of a FailedMount event.
  virtual Task<> prepare(kube::Pod pod) = 0;
  /// Of a pod that has ended, volumes and cgroup; what `kubectl logs` shows stays. What is not there is fine.
  virtual Task<> release(kube::Pod pod) = 0;
  /// Undoes prepare(); what is not there is fine.
  virtual Task<> clean_up(kube::Pod pod) = 0;

  /// Of a prepared pod: the containers that no quota of CPU time holds, for their CPUs are their own.
  virtual std::set<std::string> own_cpus(const kube::Pod&) { return {}; }

  /// Why no sandbox can have a network of its own now: "container runtime network not ready: ..."; empty: it can, or
  /// the runtime does not say.
  virtual Task<std::string> network_trouble() = 0;
  /// To be told when the pod is started.
  virtual std::vector<PodWarning> warnings(const kube::Pod& pod) = 0;
  /// Answers the sandbox's id.
  virtual Task<std::string> create_sandbox(kube::Pod pod, uint32_t attempt) = 0;
  virtual Task<> stop_sandbox(std::string id) = 0;
  virtual Task<> remove_sandbox(std::string id) = 0;

  /// The reference of an image that is here; empty if it is not.
  virtual Task<std::string> find_image(std::string image) = 0;
  /// Kind::invalid: that is no image name.
  virtual Task<PulledImage> pull_image(kube::Pod pod, std::string image) = 0;

  /// Answers the container's id. Kind::invalid: the spec cannot be made real as it stands (a missing ConfigMap key,
  /// say): CreateContainerConfigError. Other kinds: CreateContainerError.
  virtual Task<std::string> create_container(ContainerOrder order) = 0;
  /// One more than the greatest attempt of the container that has left a log; 0 if none has. For one whose instances
  /// the runtime has lost.
  virtual uint32_t logged_attempts(const kube::Pod& pod, const std::string& container) = 0;
  virtual Task<> start_container(std::string id) = 0;
  /// The container gets the CPU and memory that its spec has, and the pod what all have together. Kind::conflict: the
  /// pod uses more memory than that.
  virtual Task<> resize_container(kube::Pod pod, std::string name, std::string id) = 0;
  /// SIGTERM, then SIGKILL after `grace`; ends when the container has ended.
  virtual Task<> stop_container(std::string id, Duration grace) = 0;
  /// `with_log`: nobody can ask for its log any more, so that goes, too, with the older files of it.
  virtual Task<> remove_container(std::string id, bool with_log) = 0;

  /// Runs a command in a container to its end. Kind::timeout after `limit`.
  virtual Task<ExecOutcome> exec(std::string id, std::vector<std::string> command, Duration limit) = 0;
};

}  // namespace keelson::agent
