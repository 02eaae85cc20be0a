// SPDX-License-Identifier: Apache-2.0
// Tokens of service accounts for pods' projected volumes: asked for, kept, and renewed before they end (TokenRequest,
// KEP-1205; kubelet pkg/kubelet/token).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>

#include "agent/cluster/api_call.h"
#include "agent/config/pod_inputs.h"
#include "common/task_group.h"
#include "kube/pod.h"

namespace keelson::agent {

/// Each token is bound to its pod's uid, and so is void once the pod's object has gone. Renewed at 80 % of its life, or
/// after 24 h, whichever comes first, up to 10 s earlier at random; when that fails, every 10 to 20 s again, and the
/// old one stays in use. Belongs to the agent's loop.
class TokenManager {
 public:
  /// `renewed` is told all tokens of a pod of which one has changed.
  TokenManager(Loop& loop, ApiCall call, uint64_t seed, std::function<void(const std::string& uid, TokenMap)> renewed);

  /// All that the pod's volumes name, from memory or asked for. The error is the text of a FailedMount event:
  /// MountVolume.SetUp failed for volume "x" : failed to fetch token: ...
  Task<TokenMap> get(kube::Pod pod);
  void forget(const std::string& uid);
  /// Ends all renewals.
  Task<> close();

 private:
  struct Token {
    kube::ServiceAccountTokenProjection projection;
    std::string text;
    WallTime renew_at{};
  };
  struct PodTokens {
    explicit PodTokens(Loop& loop) : tasks(loop) {}
    kube::ObjectMeta pod;
    std::string service_account;
    std::map<std::string, Token> tokens;  // by token_key()
    TaskGroup tasks;                      // what renews them

    TokenMap texts() const;
  };
  using Shared = std::shared_ptr<PodTokens>;

  Task<> ask(Shared pod, kube::ServiceAccountTokenProjection projection);
  Task<> renew(Shared pod);

  Loop& loop_;
  const ApiCall call_;
  const std::function<void(const std::string&, TokenMap)> renewed_;
  std::mt19937_64 random_;
  std::map<std::string, Shared> pods_;  // by uid
};

}  // namespace keelson::agent
