// SPDX-License-Identifier: Apache-2.0
#include "network/admin_api.h"

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "http/server.h"
#include "network/connection_api.h"
#include "network/flow_log.h"
#include "network/service_report.h"
#include "network/status_report.h"
#include "network/why_api.h"

namespace keelson::network {
namespace {

namespace json = boost::json;

constexpr size_t kPiece = 64 * 1024;

http::Response answer_json(const json::value& value) {
  return {.body = json::serialize(value), .headers = {}, .stream = {}};
}

}  // namespace

struct AdminApi::State {
  State(Loop& l, Router& r, const ObjectSource& s, AdminApiOptions o)
      : router(r),
        source(s),
        options(std::move(o)),
        flows(l, r),
        server(l, "network admin API", [this](http::Request request) { return answer(std::move(request)); }) {}

  Router& router;
  const ObjectSource& source;
  AdminApiOptions options;
  FlowLog flows;
  http::Server server;

  using Print = std::string (State::*)(const dataplane::KnownService&) const;

  std::string print_service(const dataplane::KnownService& known) const {
    auto states = [this](const dataplane::ServiceKey& key) {
      return RouteState{router.tables().is_programmed(key), router.tables().new_flows(key)};
    };
    return service_json(known, router.translator().model(), states, node_name());
  }
  std::string print_endpoints(const dataplane::KnownService& known) const { return endpoints_json(known, node_name()); }
  const std::string& node_name() const { return router.translator().options().node_name; }

  Task<> list(http::Sink sink, std::vector<std::string> names, Print print) const {
    std::string piece = R"({"apiVersion":"v1","items":[)";
    bool first = true;
    for (const auto& name : names) {
      auto known = router.translator().find(name);
      if (!known) {
        continue;
      }
      piece += first ? "" : ",";
      first = false;
      piece += (this->*print)(*known);
      if (piece.size() >= kPiece) {
        KEELSON_CO_DO(co_await sink(std::exchange(piece, "")));
      }
    }
    co_return co_await sink(piece + R"(],"kind":"List","metadata":{"resourceVersion":""}})");
  }

  Result<http::Response> objects(const http::Target& target, Print print) const {
    const auto& path = target.path;
    if (path.size() == 3) {
      auto known = router.translator().find(path[1] + "/" + path[2]);
      if (!known) {
        return fail(Kind::not_found, "{} \"{}\" not found", path[0], path[2]);
      }
      return http::Response{.body = (this->*print)(*known), .headers = {}, .stream = {}};
    }
    if (path.size() != 1) {
      return fail(Kind::invalid, "the path is /{0} or /{0}/NAMESPACE/NAME", path[0]);
    }
    auto names = router.translator().service_names();
    if (auto ns = target.text("namespace"); !ns.empty()) {
      std::erase_if(names, [&](const auto& name) { return !name.starts_with(ns + "/"); });
    }
    return http::Response{.body = {}, .headers = {}, .stream = [this, names, print](http::Sink sink) {
                            return list(std::move(sink), names, print);
                          }};
  }

  Task<http::Response> answer(http::Request request) {
    const auto& path = request.target.path;
    std::string what = path.empty() ? "" : path[0];
    if (what == "connections") {
      co_return co_await answer_connections(&router, std::move(request));
    }
    if (request.method != "GET") {
      co_return fail(Kind::invalid, "only GET is answered at /{}", what);
    }
    if (what == "services") {
      co_return objects(request.target, &State::print_service);
    }
    if (what == "endpoints") {
      co_return objects(request.target, &State::print_endpoints);
    }
    if (what == "differences") {
      json::array lines;
      for (auto& line : router.tables().differences(router.translator().model())) {
        lines.emplace_back(std::move(line));
      }
      co_return answer_json(json::object{{"synced", router.synced()}, {"lines", std::move(lines)}});
    }
    if (what == "why") {
      co_return co_await answer_why(&router, std::move(request));
    }
    if (what == "flows") {
      KEELSON_CO_TRY(auto query, FlowQuery::parse(request.target));
      co_return http::Response{
          .type = "application/x-ndjson", .body = {}, .headers = {}, .stream = [this, query](http::Sink sink) {
            return flows.write(std::move(sink), query);
          }};
    }
    if (what == "status") {
      co_return answer_json(status_json(router, {options.source, source.trouble()}, options.socket_cgroup));
    }
    co_return fail(Kind::not_found,
                   "nothing at /{}: /services, /endpoints, /connections, /flows, /why, /differences, /status", what);
  }
};

AdminApi::AdminApi(Loop& loop, Router& router, const ObjectSource& source, AdminApiOptions options)
    : state_(std::make_unique<State>(loop, router, source, std::move(options))) {}
AdminApi::~AdminApi() = default;

Result<> AdminApi::listen() {
  return state_->server.listen_unix(state_->options.socket);
}

Task<> AdminApi::run() {
  co_return co_await state_->server.run();
}

Task<> AdminApi::watch() {
  co_return co_await state_->flows.run();
}

}  // namespace keelson::network
