// SPDX-License-Identifier: Apache-2.0
// What the admin API's paths answer.
#include "agent/api_server.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "agent/pod_endpoints.h"
#include "http/server.h"
#include "kube/codec.h"

namespace keelson::agent {

namespace {

namespace json = boost::json;
using http::Target;

int64_t micros(Duration d) {
  return d / std::chrono::microseconds(1);
}

}  // namespace

struct ApiServer::State {
  State(Loop& l, Agent& a, cri::RuntimeClient& s)
      : agent(a),
        pods(l, l, a, s, {.give_urls = true}),
        server(l, "admin API", [this](http::Request request) { return answer(std::move(request)); }) {}
  Agent& agent;
  PodEndpoints pods;
  http::Server server;

  Result<std::string> timeline(const std::string& ns, const std::string& name) {
    KEELSON_TRY(auto found, agent.find_timeline(ns, name));
    json::array spans;
    for (const auto& span : found.spans()) {
      json::object one{
          {"name", span.name}, {"startMicros", micros(span.start)}, {"durationMicros", micros(span.length)}};
      if (!span.container.empty()) {
        one["container"] = span.container;
      }
      spans.push_back(std::move(one));
    }
    return json::serialize(json::object{{"spans", std::move(spans)}, {"totalMicros", micros(found.total())}});
  }

  Task<http::Response> answer(http::Request request) {
    const Target target = request.target;
    const bool post = request.method == "POST";
    const std::string verb = target.path.empty() ? "" : target.path[0];
    KEELSON_CO_TRY(auto answered, co_await pods.answer(std::move(request)));
    if (answered) {
      co_return *std::move(answered);
    }
    if (!post && verb == "healthz") {
      co_return http::text("ok");
    }
    if (!post && verb == "events") {
      co_return http::Response{
          .body = kube::encode_json(agent.events().list(target.text("namespace"), target.text("name")))};
    }
    if (!post && verb == "timeline" && target.path.size() == 3) {
      KEELSON_CO_TRY(auto body, timeline(target.path[1], target.path[2]));
      co_return http::Response{.body = std::move(body)};
    }
    co_return fail(Kind::not_found, "there is no /{} here", fmt::join(target.path, "/"));
  }
};

ApiServer::ApiServer(Loop& loop, Agent& agent, cri::RuntimeClient& service)
    : state_(std::make_unique<State>(loop, agent, service)) {}

ApiServer::~ApiServer() = default;

Task<> ApiServer::run(std::string socket_path) {
  KEELSON_CO_DO(state_->server.listen_unix(socket_path));
  co_return co_await state_->server.run();
}

}  // namespace keelson::agent
