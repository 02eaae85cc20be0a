// SPDX-License-Identifier: Apache-2.0
// PodConfigs on this node: volumes and cgroups made, CRI configs written.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/config/allotments.h"
#include "agent/config/credential_plugins.h"
#include "agent/config/dns.h"
#include "agent/config/field_values.h"
#include "agent/config/login_files.h"
#include "agent/config/pod_inputs.h"
#include "agent/config/pod_storage.h"
#include "agent/config/resources.h"
#include "agent/config/volume_stats.h"
#include "agent/pod_configs.h"
#include "common/cgroup/limits.h"
#include "common/stats.h"

namespace keelson::agent {

struct PodConfigOptions {
  std::string root = "/var/lib/keelson";  ///< pods/ is below
  std::vector<LoginFile> login_files;     ///< of the node: login_files()
  std::string pod_logs_dir = "/var/log/pods";
  std::string container_logs_dir;  ///< links <pod>_<ns>_<container>-<id>.log; empty: none
  std::string cgroup_root = "/";
  bool systemd_cgroups = false;  ///< systemd makes the pods' cgroups, as slices; as the runtime's driver
  std::string resolv_conf = "/etc/resolv.conf";  ///< empty: none, see ClusterDns::loopback
  int64_t pod_pids_limit = 0;                    ///< processes of one pod; 0: as many as all pods may have
  uint32_t ids_per_pod = 65536;                  ///< of a pod with a user namespace; a multiple of that
  CpuQuotas quotas;
  MemoryRules memory_rules;
  bool seccomp_default = false;  ///< RuntimeDefault for what says nothing, instead of Unconfined
  ClusterDns dns;
  NodeFacts node;
  /// Told of what is done with volumes; shared with who mounts those of storage.
  std::shared_ptr<VolumeStats> volume_stats = std::make_shared<VolumeStats>();
};

/// Belongs to the agent's loop; file work runs on a small pool of threads.
class NodePodConfigs : public PodConfigs {
 public:
  /// `inputs` and `storage` outlive it. No inputs: all that a pod needs is told by objects_changed(), and there are no
  /// tokens. No storage: pods that name volumes of it are refused.
  NodePodConfigs(Loop& loop, PodConfigOptions options, PodInputs* inputs = nullptr, PodStorage* storage = nullptr);
  ~NodePodConfigs() override;

  void objects_changed(const kube::DesiredState& state) override;
  Task<> prepare(kube::Pod pod) override;
  Task<> resize(kube::Pod pod, Resizing when) override;
  Task<> release(kube::Pod pod) override;
  Task<> clean_up(kube::Pod pod) override;
  Result<std::vector<std::string>> prepared() override;
  std::set<std::string> own_cpus(const kube::Pod& pod) override;
  std::vector<PodWarning> warnings(const kube::Pod& pod) override;
  Result<std::string> handler(const kube::Pod& pod) override;
  Result<cri::SandboxConfig> sandbox(const kube::Pod& pod, uint32_t attempt) override;
  Task<> prepare_container(kube::Pod pod, std::string container) override;
  Result<cri::ContainerConfig> container(const ContainerOrder& order) override;
  Result<cri::LinuxResources> resources(const kube::Pod& pod, const std::string& container) override;
  void container_created(const ContainerOrder& order, const std::string& id) override;
  void container_removed(const std::string& id) override;
  std::string termination_log(const kube::ObjectMeta& pod, const std::string& container, uint32_t attempt) override;
  Task<std::vector<cri::AuthConfig>> credentials(kube::Pod pod, std::string image) override;

  /// Programs of this folder are asked for credentials, too. Before the first pod.
  void use_credential_providers(CredentialProviders providers, std::string folder);

  /// Who gives containers more than their specs say. They outlive this. `refused` is called on the agent's loop. Before
  /// the first pod.
  void use_allotters(std::vector<Allotter*> allotters, PodRefused refused);

  /// Newer tokens of a pod, for the volumes that it has; of a pod that was not prepared nothing is kept.
  void tokens_changed(const std::string& uid, TokenMap tokens);

  /// Where the volumes of `storage` are, that it has given for this pod.
  MountedVolumes mounted(const std::string& uid) const;

  /// The node's addresses are these from now on: what containers that start are told.
  void node_ips_are(std::vector<std::string> ips);

  /// Makes the cgroups of the QoS classes; before the first pod.
  Result<> make_roots();
  /// What all pods together may use. Kind::conflict: they use more memory now (cgroup v1), it may be tried again.
  Task<> limit_all(cgroup::Limits limits);
  /// The same of a cgroup of somebody else's, at once. Kind::not_found: there is none.
  Result<> limit_other(const std::string& cgroup, const cgroup::Limits& limits);
  /// Takes away the cgroup root and folders that are empty now; for a node that leaves nothing behind.
  void remove_empty_roots();
  /// As PodCgroups, VolumeStats and CredentialPlugins.
  void collect(Stats& stats) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace keelson::agent
