// SPDX-License-Identifier: Apache-2.0
// A KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1), as kube-proxy takes it, read as settings of the role
// network: `keelson node --roles network --proxy-config FILE`.
//
// Every field of 1.34 is known, others are told by name and line, and passed over, as kube-proxy does. What means
// something here is applied, with kube-proxy's own defaults where its mode has others than ours; what does not is told
// by name, once, if it is set at all: null, "", 0, false and 0s are how such files say "the default".
// KeelsonConfiguration and flags stand above it.
#pragma once

#include <string>

#include "cmd/keelson/config.h"
#include "common/result.h"

namespace keelson::cli {

/// Over `base`. `cores`: of this machine, for conntrack.maxPerCore. Kind::invalid lists every wrong field as
/// "FILE:LINE: field: what is wrong".
Result<NodeConfig> parse_proxy_config(const std::string& text, const std::string& file, NodeConfig base, int cores);

}  // namespace keelson::cli
