// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/small_api.h"

#include <fmt/format.h>

#include <algorithm>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "kube/codec.h"
#include "tests/support/strategic_merge.h"

namespace keelson::agent {

namespace json = boost::json;

Error refusal(int code, const std::string& reason, const std::string& message) {
  return kube::error_of(code, {.code = code, .reason = reason, .message = message});
}

Error nobody_answers() {
  return {Kind::unavailable, "connect to 192.0.2.1:6443: connection refused"};
}

void SmallApi::put(kube::Pod pod) {
  pod.metadata.resource_version = std::to_string(++version_);
  const auto name = kube::full_name(pod.metadata);
  pods[name] = pod;
  changed(name, std::move(pod));
}

void SmallApi::remove(const std::string& name) {
  if (pods.erase(name) > 0) {
    changed(name, std::nullopt);
  }
}

size_t SmallApi::count(std::string_view method) const {
  return static_cast<size_t>(std::ranges::count(requests, method, &kube::Request::method));
}

Task<std::string> SmallApi::serve(kube::Request request, Duration deadline) {
  requests.push_back(request);
  times.push_back(loop_.clock().steady());
  at_once = std::max(at_once, ++running_);
  auto slept = co_await loop_.sleep(std::min(latency, deadline));
  --running_;
  if (!slept) {
    co_return std::unexpected(std::move(slept).error());
  }
  if (latency > deadline) {
    co_return fail(Kind::timeout, "no answer");
  }
  KEELSON_CO_DO(before(request));
  co_return answer(request);
}

Result<std::string> SmallApi::answer(const kube::Request& request) {
  std::vector<std::string> parts;  // "", api, v1, namespaces, NS, RESOURCE, NAME, SUBRESOURCE
  for (size_t at = 0; at <= request.path.size();) {
    const auto end = std::min(request.path.find('/', at), request.path.size());
    parts.push_back(request.path.substr(at, end - at));
    at = end + 1;
  }
  if (parts.size() < 6 || parts[5] != "pods") {
    return other(request);
  }
  if (request.method == "POST") {
    KEELSON_TRY(auto made, kube::decode_pods(request.body));
    auto& pod = made.at(0);
    if (pods.contains(kube::full_name(pod.metadata))) {
      return std::unexpected(refusal(409, "AlreadyExists"));
    }
    pod.metadata.uid = fmt::format("made-{}", version_);
    put(pod);
    return kube::encode_json(pods.at(kube::full_name(pod.metadata)));
  }
  auto it = pods.find(parts[4] + "/" + parts.at(6));
  if (it == pods.end()) {
    return std::unexpected(refusal(404, "NotFound"));
  }
  const auto body = json::parse(request.body);
  const auto& uid = request.method == "DELETE" ? body.at("preconditions").at("uid") : body.at("metadata").at("uid");
  if (std::string_view(uid.as_string()) != it->second.metadata.uid) {
    return std::unexpected(refusal(409, "Conflict", "Precondition failed: UID in precondition: ..."));
  }
  if (request.method == "DELETE") {
    remove(it->first);
    return "{}";
  }
  return patch(it->second, request.body);
}

Result<std::string> SmallApi::patch(kube::Pod& pod, const std::string& body) {
  auto object = json::parse(kube::encode_json(pod)).as_object();
  testing::strategic_merge(object, json::parse(body).as_object());
  KEELSON_TRY(auto patched, kube::decode_pods(json::serialize(object)));
  put(std::move(patched.at(0)));
  return kube::encode_json(pod);
}

}  // namespace keelson::agent
