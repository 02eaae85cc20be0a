// SPDX-License-Identifier: Apache-2.0
// The objects that this node's pods refer to, of all kinds, each watched while some pod does.
#pragma once

#include <functional>
#include <random>

#include "agent/cluster/object_watches.h"
#include "agent/cluster/references.h"
#include "kube/folder/manifest_folder.h"

namespace keelson::agent {

/// Belongs to the agent's loop. `client` outlives it.
class ReferredObjects {
 public:
  /// `changed` is called after each change, and when something has been asked for the first time.
  ReferredObjects(kube::Client& client, std::mt19937_64& seeds, const std::function<void()>& changed);

  /// Watches these, and no others; what others held is forgotten.
  void want(const References& references);
  /// Whether all of these have been asked for: what is not known of them is not there.
  bool synced(const References& references) const;
  /// The same of what a container's environment is made of. Kind::invalid: in the kubelet's words, what is still to
  /// come.
  Result<> check_environment(const References& references) const;
  /// All that is known, besides what is there.
  void copy_to(kube::DesiredState& state) const;

  /// The API server answers: who waits to try again does.
  void retry_now();
  Task<> close();

 private:
  ObjectWatches<kube::ConfigMap> config_maps_;
  ObjectWatches<kube::Secret> secrets_;
  ObjectWatches<kube::Service> services_;
  ObjectWatches<kube::RuntimeClass> runtime_classes_;
};

}  // namespace keelson::agent
