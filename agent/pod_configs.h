// SPDX-License-Identifier: Apache-2.0
// From a pod's spec to what CRI is asked for: configs, volumes, cgroup. cri_pod_runtime.h calls it; config/ implements
// it.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "agent/pod_runtime.h"
#include "common/loop.h"
#include "cri/client/types.h"
#include "kube/folder/manifest_folder.h"
#include "kube/pod.h"

namespace keelson::agent {

/// When a pod's cgroup is changed: before its containers are, if it becomes larger, and after them in any case.
enum class Resizing { before_containers, after_containers };

/// All calls on the agent's loop; what may hang (mounts) hangs in a child or a thread of its own.
class PodConfigs {
 public:
  virtual ~PodConfigs() = default;

  /// ConfigMaps, Secrets and Services, and the pods' labels and annotations, as they are now; volumes made from them
  /// follow.
  virtual void objects_changed(const kube::DesiredState& state) = 0;

  /// The pod's folders, cgroup and volumes; idempotent.
  virtual Task<> prepare(kube::Pod pod) = 0;
  /// The pod's cgroup gets what its containers may have together. Kind::conflict: it uses more memory than that.
  virtual Task<> resize(kube::Pod pod, Resizing when) = 0;
  /// Volumes and cgroup of a pod that has ended; logs and termination messages stay. Idempotent.
  virtual Task<> release(kube::Pod pod) = 0;
  /// The reverse, by uid alone if need be; idempotent. Nothing of the pod is left.
  virtual Task<> clean_up(kube::Pod pod) = 0;

  /// The uids of all pods that prepare() has made something for and clean_up() has not removed (the folders below
  /// <root>/pods), for finding what a dead agent left.
  virtual Result<std::vector<std::string>> prepared() = 0;

  /// As PodRuntime's.
  virtual std::set<std::string> own_cpus(const kube::Pod& pod) = 0;
  virtual std::vector<PodWarning> warnings(const kube::Pod& pod) = 0;
  /// The runtime's handler for this pod; empty: the default. Kind::not_found: there is no such RuntimeClass.
  virtual Result<std::string> handler(const kube::Pod& pod) = 0;
  /// Pure but for what prepare() has made. Labels and annotations that the agent reads back are added by the caller.
  virtual Result<cri::SandboxConfig> sandbox(const kube::Pod& pod, uint32_t attempt) = 0;
  /// Before container(), each time: what has to be done by others for this container. Fails as create_container().
  virtual Task<> prepare_container(kube::Pod pod, std::string container) = 0;
  /// Kind::invalid: CreateContainerConfigError, with the kubelet's text ("configmap \"x\" not found").
  virtual Result<cri::ContainerConfig> container(const ContainerOrder& order) = 0;
  /// Of a container that is there already. Kind::invalid: the pod has none of that name.
  virtual Result<cri::LinuxResources> resources(const kube::Pod& pod, const std::string& container) = 0;
  /// The container of this order has got its id; and it has been removed. For what is named by ids (links to logs).
  virtual void container_created(const ContainerOrder& order, const std::string& id) = 0;
  virtual void container_removed(const std::string& id) = 0;
  /// The host file that holds a container instance's termination message; empty if there is none.
  virtual std::string termination_log(const kube::ObjectMeta& pod, const std::string& container, uint32_t attempt) = 0;
  /// Credentials for an image in the order to try them: of the pod's imagePullSecrets, of the node, of its credential
  /// providers.
  virtual Task<std::vector<cri::AuthConfig>> credentials(kube::Pod pod, std::string image) = 0;
};

}  // namespace keelson::agent
