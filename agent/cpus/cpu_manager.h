// SPDX-License-Identifier: Apache-2.0
// The CPU manager: who runs on which of the node's CPUs (KEP-3570; the kubelet's pkg/kubelet/cm/cpumanager).
//
//   allot() --> StaticPolicy --> <root>/cpu_manager_state
//                                   | of(): cpuset of what is made
//   run() --- each period, and when the pool has changed: UpdateContainerResources of what runs
//
// A kubelet does not start with a state that does not fit. Here the node goes on: what fits stays, containers that run
// keep the CPUs that the runtime tells of them, and the log says what was wrong.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/config/allotments.h"
#include "agent/cpus/policy_options.h"
#include "agent/cpus/state.h"
#include "agent/cpus/static_policy.h"
#include "agent/cpus/topology.h"
#include "common/loop.h"
#include "common/stats.h"
#include "cri/client/client.h"
#include "kube/folder/manifest_folder.h"

namespace keelson::cpus {

/// KubeletConfiguration's, with its defaults.
struct CpuManagerOptions {
  std::string root = "/var/lib/keelson";  ///< The folder of cpu_manager_state.
  std::string policy = "none";            ///< cpuManagerPolicy: "none" or "static"
  std::map<std::string, std::string> policy_options = {};
  OptionGates gates = {};
  Duration period = std::chrono::seconds(10);  ///< cpuManagerReconcilePeriod
  CpuSet reserved = {};                        ///< reservedSystemCPUs; empty: the first ones, for the next.
  int64_t reserved_milli = 0;                  ///< The cpu of systemReserved and kubeReserved, in thousandths.
};

/// Belongs to the agent's loop.
class CpuManager : public agent::Allotter {
 public:
  /// Reads the state of an earlier run, and writes what is in force now. `runtime` outlives it. Kind::invalid, in the
  /// kubelet's words, names the setting.
  static Result<std::unique_ptr<CpuManager>> make(Loop& loop, cri::RuntimeClient& runtime, Topology machine,
                                                  CpuManagerOptions options);

  /// Has the containers that run follow, until it is cancelled. One that was not reached is tried again each period.
  Task<> run();
  /// The same once.
  Task<> reconcile();

  /// What is wanted, before pods are told: of pods that are neither wanted nor in the runtime nothing is kept.
  void objects_changed(const kube::DesiredState& state);

  Task<std::optional<agent::AllotmentRefusal>> allot(kube::Pod pod) override;
  agent::ContainerAllotment of(const kube::Pod& pod, const std::string& container) const override;
  void release(const std::string& uid) override;

  /// What the container has for itself; empty: nothing.
  CpuSet cpus_of(const std::string& uid, const std::string& container) const;
  /// What containers can have for themselves, whoever has it now; with the policy none, nothing.
  CpuSet allocatable_cpus() const;

  /// As StaticPolicy.
  void collect(Stats& stats) const;

 private:
  CpuManager(Loop& loop, cri::RuntimeClient& runtime, Topology machine, CpuManagerOptions options);

  /// A container that runs, as the runtime lists it.
  struct Running {
    std::string id;
    std::string pod;
    std::string name;
  };

  Result<> start(StaticOptions options);
  void adopt(Result<std::optional<CpuState>> found);
  Result<> store(CpuState state);
  void keep(CpuState state);
  Task<std::vector<Running>> running();
  Task<> remember_running();
  void drop_stale(const std::set<std::string>& there);
  int wanted_by(const Running& container) const;
  std::optional<CpuSet> cpus_for(const Running& container) const;
  Task<> update(Running container, CpuSet cpus);
  Task<> wait_woken();
  void wake();

  Loop& loop_;
  cri::RuntimeClient& runtime_;
  const Topology machine_;
  const CpuManagerOptions options_;
  const std::string file_;
  std::optional<StaticPolicy> policy_;  // none with the policy none
  CpuState state_;
  bool unsaved_ = false;        // the file is older
  bool seek_running_ = false;   // what runs may have CPUs that the state does not know
  bool give_all_back_ = false;  // the policy was static: what runs is to have all CPUs again
  std::map<std::string, std::map<std::string, int>> wanted_;  // of each pod, by uid: who is to have how many CPUs
  bool all_wanted_known_ = false;
  std::set<std::string> unclaimed_;              // pods of an earlier run: nobody has asked for them, nor ended them
  std::map<std::string, CpuSet> told_;           // what containers were given here, by their ids
  std::map<std::string, std::string> troubles_;  // told of in the log, by id
  bool away_ = false;                            // the runtime, and that was told
  bool changed_ = false;                         // since the last look
  asio::steady_timer woken_;
};

}  // namespace keelson::cpus
