// SPDX-License-Identifier: Apache-2.0
// A KubeletConfiguration (kubelet.config.k8s.io/v1beta1), as the kubelet takes it, read as settings of the role agent:
// `keelson node --kubelet-config FILE [--config-dir DIR]`.
//
// Every field of 1.34 is known, others are told by name and line, and passed over, as the kubelet does. What means
// something here is applied; what does not is told by name, once, if it is set and asks for something that will not
// happen.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cmd/keelson/config.h"

namespace keelson::cli {

/// Reads a KubeletConfiguration over `base`. Kind::invalid lists every wrong field as "FILE:LINE: field: what is
/// wrong". What was not applied is added to `notes`.
Result<NodeConfig> parse_kubelet_config(const std::string& text, const std::string& file, NodeConfig base);

struct ConfigText {
  std::string name;  ///< The file's, for messages.
  std::string text;
};

/// The same of a file, if there is one, and of drop-in files that change it one after the other. All of them are
/// KubeletConfigurations; objects in them are merged, lists replaced.
Result<NodeConfig> parse_kubelet_config(std::span<const ConfigText> files, NodeConfig base);

/// The *.conf files of a folder and of those below, in the order of their names. Errors name what cannot be read.
Result<std::vector<ConfigText>> read_drop_ins(const std::string& folder);

}  // namespace keelson::cli
