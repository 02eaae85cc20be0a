// SPDX-License-Identifier: Apache-2.0
#include "agent/kubelet_api/checkpoint_endpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "common/fd.h"
#include "common/on_loop.h"

namespace keelson::agent {

namespace {

constexpr auto kAskLimit = std::chrono::seconds(10);
/// The kubelet's runtimeRequestTimeout, where the caller names none.
constexpr auto kUsualLimit = std::chrono::minutes(2);
/// More could not be waited for.
constexpr int64_t kMostSeconds = 365LL * 24 * 3600;

/// The container's id. The errors are the kubelet's.
Result<std::string> find_container(const Agent& agent, const std::string& ns, const std::string& name,
                                   const std::string& container) {
  const auto pod = agent.find_pod(ns, name);
  if (!pod) {
    return fail(Kind::not_found, "pod does not exist");
  }
  if (kube::find_container(pod->spec, container) == nullptr) {
    return fail(Kind::not_found, "container {} does not exist", container);
  }
  const auto observed = agent.find_observed(ns, name);
  const ObservedContainer* newest = observed ? observed->newest(container) : nullptr;
  if (newest == nullptr || newest->state != RunState::running) {
    return fail(Kind::conflict, "checkpointing of {}/{}/{} failed (container {} not found)", ns, name, container,
                container);
  }
  return newest->id;
}

/// The last value counts; none: nullopt.
Result<std::optional<int64_t>> timeout_of(const http::Target& target) {
  const auto values = target.all("timeout");
  if (values.empty()) {
    return std::optional<int64_t>();
  }
  const auto& text = values.back();
  int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() || seconds < 0) {
    return fail(Kind::not_found, "cannot parse value of timeout parameter");
  }
  return std::optional(std::min(seconds, kMostSeconds));
}

}  // namespace

Task<http::Response> checkpoint(CheckpointParts parts, http::Request request) {
  const auto path = request.target.path;
  if (path.size() != 4) {
    co_return http::text("404: Page Not Found", 404);
  }
  if (request.method != "POST") {
    co_return http::text("405: Method Not Allowed", 405);
  }
  auto find = [&agent = parts.agent, path] { return find_container(agent, path[1], path[2], path[3]); };
  const auto id =
      co_await with_deadline<std::string>(parts.loop, kAskLimit, on_loop(parts.agents_loop, std::move(find)));
  if (!id) {
    const auto status = id.error().kind() == Kind::not_found ? 404 : 500;
    co_return http::text(id.error().what(), status);
  }
  const auto timeout = timeout_of(request.target);
  if (!timeout) {
    co_return http::text(timeout.error().what(), 404);
  }
  const auto refuse = [&path](const Error& error) {
    return http::text(fmt::format("checkpointing of {}/{}/{} failed ({})", path[1], path[2], path[3], error.message()),
                      500);
  };
  if (const auto made = make_directories(parts.folder, 0700); !made) {
    co_return refuse(made.error());
  }
  const auto file = fmt::format("{}/checkpoint-{}_{}-{}-{}.tar", parts.folder, path[2], path[1], path[3],
                                format_rfc3339(parts.loop.clock().wall()));
  const auto seconds = timeout->value_or(0);
  const Duration limit = seconds > 0 ? Duration(std::chrono::seconds(seconds) + kAskLimit) : Duration(kUsualLimit);
  const auto done = co_await parts.runtime.checkpoint_container(*id, file, seconds, limit);
  if (!done) {
    co_return refuse(done.error());
  }
  co_return http::Response{.body = boost::json::serialize(boost::json::object{{"items", boost::json::array{file}}})};
}

}  // namespace keelson::agent
