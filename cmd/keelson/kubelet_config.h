// SPDX-License-Identifier: Apache-2.0
// A KubeletConfiguration (kubelet.config.k8s.io/v1beta1), as the kubelet takes it, read as settings of the role agent:
// `keelson node --kubelet-config FILE`.
//
// Every field of 1.34 is known, others are refused by name and line. What means something here is applied; what does
// not is told by name, once, if it is set and asks for something that will not happen.
#pragma once

#include <string>

#include "cmd/keelson/config.h"

namespace keelson::cli {

/// Reads a KubeletConfiguration over `base`. Kind::invalid lists every wrong field as "FILE:LINE: field: what is
/// wrong". What was not applied is added to `notes`.
Result<NodeConfig> parse_kubelet_config(const std::string& text, const std::string& file, NodeConfig base);

}  // namespace keelson::cli
