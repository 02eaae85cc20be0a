// SPDX-License-Identifier: Apache-2.0
// keelson-cni: the plugin's verbs, from environment and standard input to standard output (CNI spec 1.1.0, section 2).
//
//   {"cniVersion": "1.1.0", "name": "pods", "type": "keelson-cni",
//    "ranges": ["10.20.0.0/24", "fd00:20::/112"],   one address of each; at most one subnet a family
//    "capabilities": {"ipRanges": true},             the runtime's ranges instead: runtimeConfig.ipRanges
//    "mtu": 1450,                                    default: as the link of the node's default route
//    "dataDir": "/var/lib/cni/keelson"}              the leases: <dataDir>/<name>.leases
#pragma once

#include <functional>
#include <map>
#include <string>

namespace keelson::cni {

/// What a plugin is run with.
struct Invocation {
  std::map<std::string, std::string> environment;  ///< CNI_COMMAND, CNI_CONTAINERID, ...
  std::string input;                               ///< the configuration
  /// Whether the runtime that asks still lives; empty: yes. An ADD that nobody will hear of is undone: the runtime's
  /// next start may have sent its DEL already, before there was anything to remove.
  std::function<bool()> asker_lives;
};

struct PluginAnswer {
  int exit_code = 0;
  std::string output;  ///< a result, or an error object
};

/// Runs one verb. Single-threaded callers only (it enters network namespaces). Never fails otherwise than by an error
/// object that names the field, the link or the address.
PluginAnswer run_plugin(const Invocation& invocation);

}  // namespace keelson::cni
