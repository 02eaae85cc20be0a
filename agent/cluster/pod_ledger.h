// SPDX-License-Identifier: Apache-2.0
// Which pods this node is to have: those that the API binds to it, and static ones of manifests (a folder, a URL). No
// I/O.
//
//   API pods --------> admission --+
//   mirror pods (aside)            +--> wanted(): one DesiredState
//   manifests: static pods --> admission
//
// A state is complete once the API, the Node and all manifests have been read; until then nothing that is missing
// counts as unwanted. A pod is judged once: not if the runtime had something of it when we began, nor if the API says
// that a node has accepted it; a static one before the API is heard. Of CPU and memory a pod has what it was admitted
// with, until a change of that has been judged in its turn.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/cluster/admission.h"
#include "agent/cluster/references.h"
#include "agent/cluster/resize.h"
#include "kube/client/watch.h"
#include "kube/folder/manifest_folder.h"
#include "kube/own_node.h"

namespace keelson::agent {

struct LedgerOptions {
  std::string node_name;
  bool has_manifests = false;      ///< manifests() will be called, at last with a complete state.
  kube::ResourceList allocatable;  ///< "cpu", "memory", "pods" ...; what the API's Node says of these counts before it.
  kube::StringMap labels;          ///< Of the node, for as long as the API has no Node.
  SysctlAllowlist sysctls = {};    ///< That pods may set.
  bool limits_swap = false;        ///< Containers may have some swap.
  bool apparmor = false;           ///< The kernel has AppArmor.
  bool static_cpus = false;        ///< cpuManagerPolicy: static
};

/// A pod that was refused, to be told of.
struct RejectedPod {
  kube::Pod pod;
  Rejection rejection;
};

/// A pod that ends so that a critical one has room.
struct PreemptedPod {
  kube::Pod pod;
  std::string resource;  ///< One that was lacking.
};

class PodLedger {
 public:
  explicit PodLedger(LedgerOptions options);

  /// Before all else: what the runtime has of an earlier life of the agent.
  void adopt(std::set<std::string> uids);
  /// The Node as the API has it; nullopt: it has none. False: nothing that counts here is new.
  bool node_is(std::optional<kube::OwnNode> node);
  /// What the node is short of from now on: a pod that comes then may be refused.
  void pressed_by(const Pressures& pressures) { pressures_ = pressures; }
  /// The machine is going down, or is not after all: what comes meanwhile is refused.
  void shutting_down(bool now) { shutting_down_ = now; }
  /// Resources that allotters give out: what the API's Node has of them, which may be behind, does not count.
  void allotted_are(std::set<std::string> resources) { allotted_ = std::move(resources); }
  /// Static pods, and objects that they refer to.
  void manifests(kube::DesiredState state, WallTime now);
  /// All pods that the API has for us. `some_left_out`: there are others, which we cannot read.
  void synced(std::vector<kube::Pod> pods, bool some_left_out);
  /// False: nothing but what we have said ourselves.
  bool changed(kube::Changes<kube::Pod> changes);
  /// Nothing is left of this pod on the node: it is not wanted again, though its object may stay for a while.
  void ended(const std::string& uid);

  /// All that is wanted now, with the objects of the manifests; refused pods have their final status. New pods are
  /// judged in the order in which they were made.
  kube::DesiredState wanted(WallTime now);
  /// Pods refused by wanted() since the last call.
  std::vector<RejectedPod> take_rejected() { return std::exchange(rejected_, {}); }
  /// Pods that are to end for a critical one, found by wanted() since the last call. It waits until they have.
  std::vector<PreemptedPod> take_preempted() { return std::exchange(preempting_, {}); }
  /// Changes of resources that wait or cannot be, by the pod's uid.
  const std::map<std::string, PendingResize>& resizes() const { return resizes_; }
  /// {resource,requirement,operation}: what the API wanted otherwise, container by container.
  const CounterVec& requested_resizes() const { return requested_resizes_; }
  /// {reason_detail}: what was found to be infeasible.
  const CounterVec& infeasible_resizes() const { return infeasible_resizes_; }
  /// {retry_trigger}: what had to wait, and why it no longer had to.
  const CounterVec& accepted_late() const { return accepted_late_; }
  /// Nothing of this pod runs any more: what it took is free. False: that was known.
  bool stopped(const std::string& uid);
  /// What the wanted pods refer to, those aside that have ended.
  References references() const;

  const std::map<std::string, kube::Pod>& api_pods() const { return pods_; }
  const std::map<std::string, kube::Pod>& mirrors() const { return mirrors_; }
  const std::map<std::string, kube::Pod>& statics() const { return statics_; }
  /// The Node's uid; empty while it is not there.
  std::string node_uid() const { return node_ ? node_->metadata.uid : ""; }
  bool complete() const;

 private:
  AdmissionNode admission_node() const;
  std::vector<const kube::Pod*> active_pods() const;
  void judge(WallTime now);
  /// True: pods end for it, and it waits. Otherwise `refusal` is the last word.
  bool makes_room(const kube::Pod& pod, const AdmissionNode& node, Rejection& refusal);
  void judge_resizes(WallTime now);
  bool put(kube::Pod pod, const std::map<std::string, kube::Pod>& before);
  void keep_resources(kube::Pod& pod, const kube::Pod* known);
  void forget(const std::string& uid);
  bool is_there(const std::string& uid) const;

  LedgerOptions options_;
  std::map<std::string, kube::Pod> pods_;           // of the API, without mirrors, by full name
  std::map<std::string, kube::Pod> mirrors_;        // the same
  std::map<std::string, kube::Pod> statics_;        // of the folder, under the names that the API knows
  kube::DesiredState folder_;                       // its other objects
  std::set<std::string> admitted_;                  // uids
  std::map<std::string, kube::PodStatus> refused_;  // by uid
  std::set<std::string> ended_;                     // uids
  std::set<std::string> stopped_;                   // uids: ended, but for their objects
  std::set<std::string> preempted_;                 // uids: about to be
  std::map<std::string, PendingResize> resizes_;    // by uid
  CounterVec requested_resizes_;
  CounterVec infeasible_resizes_;
  CounterVec accepted_late_;
  bool some_left_ = false;  // since resizes were judged
  std::vector<RejectedPod> rejected_;
  std::vector<PreemptedPod> preempting_;
  std::optional<kube::OwnNode> node_;
  std::set<std::string> allotted_;
  Pressures pressures_;
  bool shutting_down_ = false;
  bool node_known_ = false;
  bool synced_ = false;
  bool left_out_ = false;
  bool folder_read_ = false;
};

}  // namespace keelson::agent
