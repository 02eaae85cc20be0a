// SPDX-License-Identifier: Apache-2.0
// PodRuntime on a CRI runtime.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "agent/pod_configs.h"
#include "agent/pod_runtime.h"
#include "agent/pull_gate.h"
#include "cri/client/client.h"

namespace keelson::agent {

/// How long calls may take before they end with Kind::timeout.
struct CallLimits {
  Duration ask = std::chrono::seconds(10);  ///< Lists and statuses.
  Duration act = std::chrono::minutes(2);   ///< Sandboxes, create, start, remove (kubelet runtimeRequestTimeout).
  Duration pull = std::chrono::minutes(30);
};

/// The labels and annotations by which the agent finds its pods again are the kubelet's (io.kubernetes.pod.uid ...), so
/// that other tools read them too; the delay before a restart is our own (node.keelson.dev/restart-delay-ms).
/// Belongs to the agent's loop. The service and the configs outlive it.
class CriPodRuntime : public PodRuntime {
 public:
  /// `pulls` may be nullptr: nobody waits for another's pull, or shares it. It outlives this, too.
  CriPodRuntime(cri::RuntimeClient& service, PodConfigs& configs, CallLimits limits = {}, PullGate* pulls = nullptr);

  /// Calls `changed` with the uid of each pod that has news, and with "" when events may have been missed. Once.
  void watch(std::function<void(const std::string& uid)> changed);

  Task<std::vector<kube::ObjectMeta>> list_pods() override;
  Task<ObservedPod> observe(std::string uid) override;
  Task<> prepare(kube::Pod pod) override;
  Task<> release(kube::Pod pod) override;
  Task<> clean_up(kube::Pod pod) override;
  std::set<std::string> own_cpus(const kube::Pod& pod) override;
  std::vector<PodWarning> warnings(const kube::Pod& pod) override;
  Task<std::string> network_trouble() override;
  Task<std::string> create_sandbox(kube::Pod pod, uint32_t attempt) override;
  Task<> stop_sandbox(std::string id) override;
  Task<> remove_sandbox(std::string id) override;
  Task<std::string> find_image(std::string image) override;
  Task<PulledImage> pull_image(kube::Pod pod, std::string image) override;
  Task<std::string> create_container(ContainerOrder order) override;
  uint32_t logged_attempts(const kube::Pod& pod, const std::string& container) override;
  Task<> start_container(std::string id) override;
  Task<> resize_container(kube::Pod pod, std::string name, std::string id) override;
  Task<> stop_container(std::string id, Duration grace) override;
  Task<> remove_container(std::string id, bool with_log) override;
  Task<ExecOutcome> exec(std::string id, std::vector<std::string> command, Duration limit) override;

 private:
  Task<PulledImage> pull_with(std::string image, std::vector<cri::AuthConfig> credentials, cri::SandboxConfig sandbox);
  Result<cri::SandboxConfig> sandbox_config(const kube::Pod& pod, uint32_t attempt);
  Task<ObservedContainer> observe_container(cri::ContainerStatus listed);
  std::string termination_message(const cri::ContainerStatus& status);

  cri::RuntimeClient& service_;
  PodConfigs& configs_;
  const CallLimits limits_;
  PullGate* const pulls_;
  std::map<std::string, ObservedContainer> ended_;  // by id: what has ended changes no more
};

}  // namespace keelson::agent
