// SPDX-License-Identifier: Apache-2.0
// PodConfigs on this node: volumes and cgroups made, CRI configs written.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/config/credential_plugins.h"
#include "agent/config/dns.h"
#include "agent/config/field_values.h"
#include "agent/config/login_files.h"
#include "agent/config/pod_inputs.h"
#include "agent/pod_configs.h"

namespace keelson::agent {

struct PodConfigOptions {
  std::string root = "/var/lib/keelson";  ///< pods/ is below
  std::vector<LoginFile> login_files;     ///< of the node: login_files()
  std::string pod_logs_dir = "/var/log/pods";
  std::string container_logs_dir;  ///< links <pod>_<ns>_<container>-<id>.log; empty: none
  std::string cgroup_root = "/";
  bool systemd_cgroups = false;  ///< systemd makes the pods' cgroups, as slices; as the runtime's driver
  std::string resolv_conf = "/etc/resolv.conf";
  ClusterDns dns;
  NodeFacts node;
};

/// Belongs to the agent's loop; file work runs on a small pool of threads.
class NodePodConfigs : public PodConfigs {
 public:
  /// `inputs` outlives it; nullptr: all that a pod needs is told by objects_changed(), and there are no tokens.
  NodePodConfigs(Loop& loop, PodConfigOptions options, PodInputs* inputs = nullptr);
  ~NodePodConfigs() override;

  void objects_changed(const kube::DesiredState& state) override;
  Task<> prepare(kube::Pod pod) override;
  Task<> resize(kube::Pod pod, Resizing when) override;
  Task<> release(kube::Pod pod) override;
  Task<> clean_up(kube::Pod pod) override;
  Result<std::vector<std::string>> prepared() override;
  Result<std::string> handler(const kube::Pod& pod) override;
  Result<cri::SandboxConfig> sandbox(const kube::Pod& pod, uint32_t attempt) override;
  Result<cri::ContainerConfig> container(const ContainerOrder& order) override;
  Result<cri::LinuxResources> resources(const kube::Pod& pod, const std::string& container) override;
  void container_created(const ContainerOrder& order, const std::string& id) override;
  void container_removed(const std::string& id) override;
  std::string termination_log(const kube::ObjectMeta& pod, const std::string& container, uint32_t attempt) override;
  Task<std::vector<cri::AuthConfig>> credentials(kube::Pod pod, std::string image) override;
  std::vector<std::string> missing_pull_secrets(const kube::Pod& pod) override;

  /// Programs of this folder are asked for credentials, too. Before the first pod.
  void use_credential_providers(std::vector<CredentialProvider> providers, std::string folder);

  /// Newer tokens of a pod, for the volumes that it has; of a pod that was not prepared nothing is kept.
  void tokens_changed(const std::string& uid, TokenMap tokens);

  /// Makes the cgroups of the QoS classes; before the first pod.
  Result<> make_roots();
  /// Takes away the cgroup root and folders that are empty now; for a node that leaves nothing behind.
  void remove_empty_roots();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace keelson::agent
