// SPDX-License-Identifier: Apache-2.0
// A container's environment from all its sources.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "agent/config/field_values.h"
#include "kube/folder/manifest_folder.h"

namespace keelson::agent {

using Environment = std::vector<std::pair<std::string, std::string>>;

/// Services of the pod's namespace first (and KUBERNETES_* from the default namespace), then envFrom in order, then
/// env; later values win, names keep the place of their first appearance. `$(VAR)` sees what stands before it.
/// Kind::invalid with the kubelet's text: configmap "x" not found, couldn't find key k in ConfigMap ns/x.
Result<Environment> make_environment(const kube::Pod& pod, const kube::Container& container,
                                     const kube::DesiredState& objects, const std::vector<std::string>& pod_ips,
                                     const NodeFacts& node);

}  // namespace keelson::agent
