// SPDX-License-Identifier: Apache-2.0
// How the parts of this folder ask the API server.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "common/loop.h"
#include "common/token_bucket.h"
#include "kube/client/api.h"

namespace keelson::agent {

/// The body of a 2xx answer, or an error as kube::call() makes it.
using ApiCall = std::function<Task<std::string>(kube::Request request, Duration deadline)>;

/// kube::call() on `client`, which outlives it.
inline ApiCall api_call(kube::Client& client) {
  return
      [&client](kube::Request request, Duration deadline) { return kube::call(client, std::move(request), deadline); };
}

/// The kubelet's kubeAPIQPS and kubeAPIBurst, eventRecordQPS and eventBurst.
inline constexpr RateLimit kDefaultRequests = {.per_second = 50, .burst = 100};

/// The same, within `limit`: requests above it wait, before their deadline begins.
ApiCall limited(Loop& loop, ApiCall call, RateLimit limit);

/// For an answer to come as a whole.
inline constexpr std::chrono::seconds kApiDeadline{10};

/// "/api/v1/namespaces/<ns>/<resource>" and, if `name` is not empty, "/<name>".
std::string object_path(std::string_view ns, std::string_view resource, std::string_view name = {});

/// Deletes a pod's object at once, if it is the one with this uid.
kube::Request delete_pod_request(std::string_view ns, std::string_view name, std::string_view uid);

/// No server has answered as one that serves us: a later try may meet one that does.
bool is_away(const Error& error);
/// The Node authorizer hears of a node's new pods a moment after the node itself may: what is refused (403) is asked
/// for again after this, so often.
inline constexpr std::chrono::milliseconds kAuthorizerLag{100};
inline constexpr int kAuthorizerTries = 5;
/// One request about what a pod of this node refers to, so asked. `call` is as in ApiCall.
Task<std::string> call_of_pod(Loop& loop, ApiCall call, kube::Request request);

/// The server has another object of this name, not the one meant.
bool is_other_object(const Error& error);

}  // namespace keelson::agent
