// SPDX-License-Identifier: Apache-2.0
// Mirror pods: what the API shows of a node's static pods. Deleting one never stops the static pod.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>

#include "agent/cluster/api_call.h"
#include "common/task_group.h"
#include "kube/pod.h"

namespace keelson::agent {

/// The object that stands for `pod`, a static one, at the API: its annotation kubernetes.io/config.mirror holds the
/// static pod's uid, and its owner is the Node.
kube::Pod make_mirror(const kube::Pod& pod, const std::string& node_name, const std::string& node_uid);

/// Makes what is missing, and deletes what is of another static pod than the one there is, of none, or about to be
/// deleted; one request at a time. Where somebody has asked for the deletion, two seconds pass before the next one is
/// made: a kubectl before 1.36 looks twice for what it has deleted, and waits for ever if between the two looks one was
/// exchanged for another (kubernetes/kubectl#1803). Belongs to the agent's loop.
class MirrorPods {
 public:
  /// `made` is told each mirror pod as the API has made it. `alive`: something of the static pod of this name still is
  /// on the node, so that its mirror stays.
  MirrorPods(Loop& loop, ApiCall call, std::string node_name, uint64_t seed, std::function<void(kube::Pod)> made,
             std::function<bool(const std::string& full_name)> alive);

  /// The static pods and the API's mirror pods, by full name. Nothing is done while `node_uid` is empty: the API has no
  /// Node that could own them.
  void update(std::map<std::string, kube::Pod> statics, std::map<std::string, kube::Pod> mirrors, std::string node_uid);
  Task<> close() { return tasks_.close(); }

 private:
  struct Step {
    std::string name;
    std::string uid;  ///< Of what is deleted; empty: it is made.
    kube::Request request;
    bool asked_for = false;  ///< the deletion, by somebody else
  };
  std::optional<Step> next() const;
  Task<> work();
  void pause(const std::string& name, Duration wait);
  Task<> rest(std::string name, Duration wait);
  void settle(const Step& step, Result<std::string> answer);

  Loop& loop_;
  const ApiCall call_;
  const std::string node_name_;
  std::mt19937_64 random_;
  const std::function<void(kube::Pod)> made_;
  const std::function<bool(const std::string&)> alive_;
  std::map<std::string, kube::Pod> statics_;
  std::map<std::string, kube::Pod> mirrors_;
  std::string node_uid_;
  std::set<std::string> deleted_;  // uids whose deletion the API has taken
  std::set<std::string> resting_;  // names, after a refusal or a deletion
  bool working_ = false;
  TaskGroup tasks_;
};

}  // namespace keelson::agent
