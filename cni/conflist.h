// SPDX-License-Identifier: Apache-2.0
// Network configuration lists (CNI spec 1.1.0, section 1), and where they are found.
#pragma once

#include <string>
#include <vector>

#include <boost/json/value.hpp>

#include "common/result.h"

namespace keelson::cni {

struct PluginEntry {
  std::string type;
  boost::json::object config;             ///< as written
  std::vector<std::string> capabilities;  ///< whose value is true
};

struct NetworkList {
  std::string version;  ///< the highest that both the list and we know
  std::string name;
  bool disable_check = false;
  bool disable_gc = false;
  std::vector<PluginEntry> plugins;
};

/// Reads a *.conflist (a list) or a *.conf or *.json (a single plugin, made a list). Kind::invalid names `file` and the
/// field.
Result<NetworkList> parse_network_list(const std::string& text, const std::string& file);

/// The first valid configuration of the folder by file name, as containerd chooses. Kind::not_found while there is
/// none; wrong files are passed over, and named in the error when none is right.
Result<NetworkList> load_network_list(const std::string& folder);

}  // namespace keelson::cni
