// SPDX-License-Identifier: Apache-2.0
// Labels and taints that an operator gives a node when it registers (--node-labels, --register-with-taints). Pure.
#pragma once

#include <string>
#include <vector>

#include "common/result.h"
#include "kube/node.h"

namespace keelson::agent {

/// Each "key=value". Kind::invalid names the label: one that is no label, or of kubernetes.io or k8s.io and neither
/// below kubelet.kubernetes.io/ and node.kubernetes.io/ nor of those that a node may give itself (NodeRestriction, the
/// kubelet's --node-labels).
Result<kube::StringMap> parse_node_labels(const std::vector<std::string>& texts);

/// Each "key=value:Effect" or "key:Effect". Kind::invalid names the taint.
Result<std::vector<kube::Taint>> parse_taints(const std::vector<std::string>& texts);

}  // namespace keelson::agent
