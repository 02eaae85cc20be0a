// SPDX-License-Identifier: Apache-2.0
// An API server of pods and events in memory, for tests: answers take time, and faults come by request.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/cluster/api_call.h"
#include "kube/pod.h"

namespace keelson::agent {

/// Pods are patched as the real one does where a node can see it: conditions by type, lists as a whole, the uid as a
/// precondition. Other objects are only counted.
class SmallApi {
 public:
  explicit SmallApi(Loop& loop) : loop_(loop) {}

  ApiCall call() {
    return [this](kube::Request request, Duration deadline) { return serve(std::move(request), deadline); };
  }

  /// Ahead of each request: an error instead of an answer.
  std::function<Result<>(const kube::Request&)> before = [](const kube::Request&) { return Result<>(); };
  /// After each change of a pod; nullopt: it has gone. As a watch, which tests may delay.
  std::function<void(const std::string& name, std::optional<kube::Pod>)> changed = [](auto&&, auto&&) {};
  /// For requests that are not about pods: "POST /api/v1/...".
  std::function<Result<std::string>(const kube::Request&)> other = [](const kube::Request&) {
    return Result<std::string>("{}");
  };
  Duration latency = std::chrono::milliseconds(10);

  std::map<std::string, kube::Pod> pods;  // by "namespace/name"
  std::vector<kube::Request> requests;
  std::vector<SteadyTime> times;  // of the requests
  size_t at_once = 0;             // the most there were

  /// Puts a pod, with the next version.
  void put(kube::Pod pod);
  void remove(const std::string& name);
  size_t count(std::string_view method) const;

 private:
  Task<std::string> serve(kube::Request request, Duration deadline);
  Result<std::string> answer(const kube::Request& request);
  Result<std::string> patch(kube::Pod& pod, const std::string& body);

  Loop& loop_;
  uint64_t version_ = 100;
  size_t running_ = 0;
};

/// The error that kube::call() makes of a refusal.
Error refusal(int code, const std::string& reason, const std::string& message = "no");
Error nobody_answers();

}  // namespace keelson::agent
