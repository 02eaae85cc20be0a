// SPDX-License-Identifier: Apache-2.0
// A runtime in memory, for tests: real sandboxes and containers as far as a worker can tell, with faults by request.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "agent/plan.h"
#include "agent/pod_runtime.h"

namespace keelson::agent {

/// Containers run until they exit by exit_container(), or are stopped (exit code 143). `before_call` runs ahead of each
/// call and may answer an error for it. The owner is told of exits by `changed`.
class SmallWorld : public PodRuntime {
 public:
  explicit SmallWorld(Loop& loop) : loop_(loop) {}

  std::function<Result<>(std::string_view call)> before_call = [](std::string_view) { return Result<>(); };
  std::function<void(const std::string& uid)> changed = [](const std::string&) {};
  std::set<std::string> images = {};      ///< Empty: every pull succeeds.
  std::set<std::string> hung;             ///< Uids whose calls never end.
  std::map<std::string, int> exits_with;  ///< Container name: exits at once with this code.
  std::vector<std::string> calls;         ///< "start_container a" ...
  Duration stop_takes{0};
  Duration pull_takes{0};
  Duration pull_waits{0};       ///< Before that, for others' pulls.
  std::vector<PodWarning> odd;  ///< Of each pod.
  std::string network_lacks;    ///< What network_trouble() answers.
  std::set<std::string> own;    ///< Names of containers that have CPUs of their own, once their pod is prepared.

  struct Sandbox {
    kube::ObjectMeta pod;
    ObservedSandbox seen;
  };
  std::map<std::string, Sandbox> sandboxes;
  std::map<std::string, ObservedContainer> containers;
  std::set<std::string> prepared;                    ///< Uids.
  std::map<std::string, std::string> image_volumes;  ///< Of the container that was created last.
  std::map<std::string, uint32_t> logged;            ///< Container name: what logged_attempts() answers.

  void exit_container(const std::string& id, int code);
  /// The newest instance that runs, or "".
  std::string running(std::string_view name) const;
  std::string uid_of(const ObservedContainer& container) const;
  void lose_sandbox(const std::string& id);

  Task<std::vector<kube::ObjectMeta>> list_pods() override;
  Task<ObservedPod> observe(std::string uid) override;
  Task<> prepare(kube::Pod pod) override;
  Task<> release(kube::Pod pod) override;
  Task<> clean_up(kube::Pod pod) override;
  Task<std::string> network_trouble() override;
  std::set<std::string> own_cpus(const kube::Pod& pod) override;
  std::vector<PodWarning> warnings(const kube::Pod& pod) override;
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
  Task<> enter(std::string call, std::string uid = {});
  CpuQuotas quotas_of(const std::string& container) const;

  Loop& loop_;
  int next_ = 0;
};

}  // namespace keelson::agent
