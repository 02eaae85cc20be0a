// SPDX-License-Identifier: Apache-2.0
// Programs that know credentials of registries (ECR, GAR, ACR ...): asked for an image, they answer logins
// (CredentialProviderConfig of kubelet.config.k8s.io; kubelet pkg/credentialprovider/plugin).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/loop.h"
#include "common/process.h"

namespace keelson::agent {

/// One program, as the configuration describes it.
struct CredentialProvider {
  std::string name;                       ///< Its file in the folder of plugins.
  std::string api_version;                ///< Of requests and answers: "credentialprovider.kubelet.k8s.io/v1".
  std::vector<std::string> match_images;  ///< Images that it is asked for: "*.dkr.ecr.*.amazonaws.com".
  Duration default_cache_duration{0};     ///< For answers that name none. 0: each pull asks anew.
  std::vector<std::string> args;
  std::vector<std::pair<std::string, std::string>> env;  ///< Beside the daemon's own.
};

/// Belongs to one loop. What programs answer is secret: it is kept in memory for as long as the answer allows, and
/// never logged.
class CredentialPlugins {
 public:
  /// `run` carries a command out without blocking the loop.
  using Run = std::function<Task<CommandOutput>(Command command)>;
  CredentialPlugins(Loop& loop, std::vector<CredentialProvider> providers, std::string folder, Run run);
  ~CredentialPlugins();

  /// The logins for an image ("registry.example.com/a/b", without tag), each the text of a .dockercfg: of every
  /// provider whose matchImages fit. A program is asked by one pull at a time; the others take its answer if it may be
  /// kept. One that fails, or takes longer than a minute, is told in the log, and has no logins.
  Task<std::vector<std::string>> logins(std::string image);

 private:
  struct Plugin;
  Task<std::string> ask(std::shared_ptr<Plugin> plugin, std::string image);

  Loop& loop_;
  const std::string folder_;
  const Run run_;
  std::vector<std::shared_ptr<Plugin>> plugins_;
};

}  // namespace keelson::agent
