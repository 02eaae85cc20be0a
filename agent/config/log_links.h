// SPDX-License-Identifier: Apache-2.0
// /var/log/containers: one link per container, to its log below the pod's folder, for log collectors (kubelet
// pkg/kubelet/kuberuntime/legacy.go).
#pragma once

#include <string>

#include "common/result.h"
#include "kube/meta.h"

namespace keelson::agent {

/// `folder` may be empty: then nothing is linked. Only links to a place below `pod_logs_dir` are ever removed.
struct LogLinks {
  std::string folder;
  std::string pod_logs_dir;

  /// <pod>_<namespace>_<container>-<id>.log, at most 255 bytes. Idempotent.
  Result<> add(const kube::ObjectMeta& pod, const std::string& container, const std::string& id,
               const std::string& log) const;
  /// A container's, by its id.
  void remove_container(const std::string& id) const;
  /// All of a pod.
  void remove_pod(const std::string& uid) const;
};

}  // namespace keelson::agent
