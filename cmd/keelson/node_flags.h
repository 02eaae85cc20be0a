// SPDX-License-Identifier: Apache-2.0
// The node's configuration on a command line: verbs that run a node, or prepare for one, take the same flags.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cmd/keelson/config.h"
#include "cmd/keelson/kubelet_flags.h"
#include "cmd/keelson/output.h"
#include "cmd/keelson/verbs.h"

namespace keelson::cli {

struct NodeFlags {
  std::string file;          ///< Ours, or one of the two below.
  std::string proxy_file;    ///< A KubeProxyConfiguration.
  std::string kubelet_file;  ///< A KubeletConfiguration.
  std::string drop_ins;      ///< Folder of files that change it.
  KubeletFlags kubelet;      ///< The kubelet's own flags that are no settings.
  NodeConfig flags;          ///< What the flags say.
  std::vector<std::pair<CLI::Option*, const Setting*>> options;

  /// Adds --config, --proxy-config, --kubelet-config, --config-dir, the kubelet's own and a flag for each setting.
  static std::shared_ptr<NodeFlags> add(CLI::App& verb);
  /// What the stock components' files say, over it our file's values, over them the flags that were given, over them
  /// the flags that every verb has. Checked.
  Result<NodeConfig> load(const Session& session) const;

 private:
  struct FromFiles {
    NodeConfig config;
    bool as_proxy = false;  ///< One of them is kube-proxy's.
  };
  /// What the files say, those of the stock components before ours.
  Result<FromFiles> read_files() const;
};

/// A verb that looks at a node as its daemon would be configured, and changes nothing: the flags of `node`, and -o.
struct NodeVerb {
  std::string name;
  std::string help;  ///< Whole sentences.
  Result<int> (*run)(const NodeConfig& config, Format format);
};
void add_node_verb(CLI::App& app, Session& session, const NodeVerb& verb);

}  // namespace keelson::cli
