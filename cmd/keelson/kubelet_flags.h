// SPDX-License-Identifier: Apache-2.0
// Flags of the kubelet that are no settings of ours: other names of settings, and fields of its configuration that have
// a flag beside. With them a kubelet's command line (kubeadm's kubeadm-flags.env) is ours.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "cmd/keelson/config.h"
#include "cmd/keelson/kubelet_config.h"

namespace keelson::cli {

class KubeletFlags {
 public:
  /// Adds them; for as long as the verb is used, this object stays where it is.
  void add(CLI::App& verb);

  /// Those that were given and are fields of a KubeletConfiguration, as texts to be read after all files.
  std::vector<ConfigText> fields() const;
  /// Those that are other names of settings; and notes of those that mean nothing here.
  void apply(NodeConfig& config) const;

 private:
  struct Given {
    const CLI::Option* option = nullptr;
    std::string value;
  };
  std::deque<Given> names_;  // in the order of the tables
  std::deque<Given> fields_;
  std::deque<Given> passed_;
};

}  // namespace keelson::cli
