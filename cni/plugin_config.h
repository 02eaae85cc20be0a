// SPDX-License-Identifier: Apache-2.0
// The plugin's configuration and call, checked.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "cni/ipam.h"
#include "cni/plugin.h"
#include "cni/types.h"

namespace keelson::cni {

/// An error as the spec has it.
struct PluginError {
  int code = kInternal;
  std::string message;
  std::string details;
};

template <class T>
using Checked = std::expected<T, PluginError>;

struct PluginConfig {
  std::string version;
  std::string name;
  std::vector<Subnet> ranges;  ///< The runtime's (runtimeConfig.ipRanges), or its own.
  int mtu = 0;
  std::string data_dir = "/var/lib/cni/keelson";
  std::optional<Outcome> previous;
  std::vector<LeaseStore::Key> valid_attachments;  ///< GC
};

/// Reads the configuration; `verb` decides what must be there.
Checked<PluginConfig> parse_plugin_config(const std::string& input, const std::string& verb);

/// CNI_CONTAINERID, CNI_NETNS, CNI_IFNAME, checked; DEL may lack the namespace.
Checked<Attachment> parse_attachment(const Invocation& invocation, const std::string& verb);

/// Our error as the spec's: exhausted and unavailable may be tried later, the rest is I/O.
PluginError plugin_error(const Error& error, const std::string& what);

}  // namespace keelson::cni
