// SPDX-License-Identifier: Apache-2.0
// What pods need that others have: objects of the API that they refer to, and tokens of their service accounts.
#pragma once

#include <map>
#include <string>

#include "common/loop.h"
#include "kube/pod.h"

namespace keelson::agent {

/// Tokens of one pod by token_key(). Secrets: never print, log or put into an error what is in it.
using TokenMap = std::map<std::string, std::string>;

/// Projections of a pod with the same audience and lifetime share a token.
std::string token_key(const kube::ServiceAccountTokenProjection& projection);

/// A service account, as far as somebody here asks.
struct ServiceAccount {
  std::string uid;
  kube::StringMap annotations;
};

/// All calls on the agent's loop.
class PodInputs {
 public:
  virtual ~PodInputs() = default;
  /// Ends once what the pod refers to has been asked for, whether it is there or not (what is missing is told by who
  /// needs it), and answers the tokens of its projected volumes. Waits some seconds at the most. The error is the text
  /// of a FailedMount event; the caller tries again.
  virtual Task<TokenMap> provide(kube::Pod pod) = 0;
  /// Whether what the container's environment is made of has been read, be it there or not: services, and the objects
  /// that it refers to. Kind::invalid, with the kubelet's text, if not: what is unknown would be missing for as long as
  /// the container runs.
  virtual Result<> check_environment(const kube::Pod& pod, const kube::Container& container) const = 0;
  /// The service account that the pod's spec names, as the API has it now. Kind::not_found: there is none.
  virtual Task<ServiceAccount> service_account(kube::Pod pod) = 0;
  /// A token of it for this audience, bound to the pod: from memory while it is good, else asked for. `account_uid`: of
  /// the account that is meant. A secret: never print, log or put into an error what is in it.
  virtual Task<std::string> service_account_token(kube::Pod pod, std::string audience, std::string account_uid) = 0;
  /// The pod has gone: its tokens are forgotten.
  virtual void forget(const std::string& uid) = 0;
};

}  // namespace keelson::agent
