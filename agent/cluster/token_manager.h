// SPDX-License-Identifier: Apache-2.0
// Tokens of pods' service accounts, for their projected volumes and for who pulls their images: asked for, kept, and
// renewed before they end (TokenRequest, KEP-1205; kubelet pkg/kubelet/token).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include "agent/cluster/api_call.h"
#include "agent/cluster/token_request.h"
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
  /// A token for somebody who needs it just now: from memory until it would be renewed, else asked for; when that fails
  /// the old one does until it has ended. "failed to fetch token: ..."
  Task<std::string> get_one(kube::Pod pod, TokenWanted wanted);
  /// The account itself, as the API has it now.
  Task<ServiceAccount> account(kube::Pod pod);
  void forget(const std::string& uid);
  /// Ends all renewals.
  Task<> close();

 private:
  struct Token {
    std::string text;
    WallTime renew_at{};
    WallTime expires{};
  };
  struct VolumeToken {
    kube::ServiceAccountTokenProjection projection;
    Token token;
  };
  struct PodTokens {
    explicit PodTokens(Loop& loop) : tasks(loop) {}
    kube::ObjectMeta pod;
    std::string service_account;
    std::map<std::string, VolumeToken> tokens;                    // by token_key()
    std::map<std::pair<std::string, std::string>, Token> single;  // get_one()'s, by audience and the account's uid
    TaskGroup tasks;                                              // what renews those of volumes

    TokenMap texts() const;
  };
  using Shared = std::shared_ptr<PodTokens>;

  Shared pod_of(const kube::Pod& pod);
  Task<Token> issue(Shared pod, TokenWanted wanted);
  Task<> ask(Shared pod, kube::ServiceAccountTokenProjection projection);
  Task<> renew(Shared pod);

  Loop& loop_;
  const ApiCall call_;
  const std::function<void(const std::string&, TokenMap)> renewed_;
  std::mt19937_64 random_;
  std::map<std::string, Shared> pods_;  // by uid
};

}  // namespace keelson::agent
