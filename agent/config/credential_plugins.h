// SPDX-License-Identifier: Apache-2.0
// Programs that know credentials of registries (ECR, GAR, ACR ...): asked for an image, they answer logins
// (CredentialProviderConfig of kubelet.config.k8s.io; kubelet pkg/credentialprovider/plugin).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/config/pod_inputs.h"
#include "common/loop.h"
#include "common/process.h"
#include "common/stats.h"
#include "kube/pod.h"

namespace keelson::agent {

/// A program that acts for the service accounts of pods (KEP-4412, tokenAttributes).
struct TokenAttributes {
  /// Whose answers are kept together: of a token, so of one pod for as long as the token is used; or of a service
  /// account.
  enum class CacheType { token, service_account };
  std::string audience;  ///< Of the token, which is bound to the pod.
  CacheType cache_type = CacheType::token;
  bool require_service_account = false;           ///< Pods without one do not have the program asked.
  std::vector<std::string> required_annotations;  ///< Nor have pods whose account lacks one of these.
  std::vector<std::string> optional_annotations;  ///< The program is told these two kinds of annotations.
};

/// One program, as the configuration describes it.
struct CredentialProvider {
  std::string name;                       ///< Its file in the folder of plugins.
  std::string api_version;                ///< Of requests and answers: "credentialprovider.kubelet.k8s.io/v1".
  std::vector<std::string> match_images;  ///< Images that it is asked for: "*.dkr.ecr.*.amazonaws.com".
  Duration default_cache_duration{0};     ///< For answers that name none. 0: each pull asks anew.
  std::vector<std::string> args;
  std::vector<std::pair<std::string, std::string>> env;  ///< Beside the daemon's own.
  std::optional<TokenAttributes> token;                  ///< None: it knows nothing of pods.
};

/// All of a configuration.
struct CredentialProviders {
  std::vector<CredentialProvider> list;
  std::string hash;  ///< "sha256:<hex>" of the files.
};

/// Belongs to one loop. What programs answer is secret: it is kept in memory for as long as the answer allows, and
/// never logged.
class CredentialPlugins {
 public:
  /// `run` carries a command out without blocking the loop.
  using Run = std::function<Task<CommandOutput>(Command command)>;
  /// `accounts` knows the pods' service accounts, and outlives this; nullptr: nobody does.
  CredentialPlugins(Loop& loop, CredentialProviders providers, std::string folder, Run run, PodInputs* accounts);
  ~CredentialPlugins();

  /// The logins for an image of a pod ("registry.example.com/a/b", without tag), each the text of a .dockercfg: of
  /// every provider whose matchImages fit. A program is asked by one pull at a time, or by one of each service account
  /// or token if it has any; the others take its answer if it may be kept. One that fails, or takes longer than a
  /// minute, or whose token nobody gives, is told in the log, and has no logins.
  Task<std::vector<std::string>> logins(kube::Pod pod, std::string image);

  /// By the kubelet's names (kubelet_credential_provider_*).
  void collect(Stats& stats) const;

 private:
  struct Plugin;
  struct Account;
  Task<std::optional<Account>> account_of(std::shared_ptr<Plugin> plugin, kube::Pod pod);
  Task<CommandOutput> run(std::shared_ptr<Plugin> plugin, Command command);
  Task<std::string> ask(std::shared_ptr<Plugin> plugin, Account account, std::string image);

  Loop& loop_;
  const std::string folder_;
  const std::string hash_;
  const Run run_;
  PodInputs* const accounts_;
  std::vector<std::shared_ptr<Plugin>> plugins_;
  CounterVec errors_;
  HistogramVec durations_{default_bounds()};
};

}  // namespace keelson::agent
