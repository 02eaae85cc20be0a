// SPDX-License-Identifier: Apache-2.0
// What the admin API's paths answer.
#include "agent/api_server.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "agent/container_log.h"
#include "common/task_group.h"
#include "http/server.h"
#include "kube/codec.h"

namespace keelson::agent {

namespace {

namespace json = boost::json;
using http::Target;

constexpr auto kRequestLimit = std::chrono::seconds(10);

int64_t micros(Duration d) {
  return d / std::chrono::microseconds(1);
}

Result<std::optional<int64_t>> number(const Target& target, const std::string& key) {
  auto text = target.text(key);
  int64_t value = 0;
  if (text.empty()) {
    return std::optional<int64_t>();
  }
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) {
    return fail(Kind::invalid, "{}={}: not a count; give a whole number from 0 on", key, text);
  }
  return std::optional(value);
}

}  // namespace

struct ApiServer::State {
  State(Loop& l, Agent& a, cri::RuntimeClient& s)
      : loop(l), agent(a), service(s), watchers(l), server(l, "admin API", [this](http::Request request) {
          return answer(std::move(request));
        }) {}
  Loop& loop;
  Agent& agent;
  cri::RuntimeClient& service;
  TaskGroup watchers;
  http::Server server;
  std::shared_ptr<LogWatcher> watcher;  // from the first log that is followed on

  Result<> watch_logs() {
    KEELSON_TRY(watcher, LogWatcher::open(loop));
    watchers.spawn("watch logs", LogWatcher::run(watcher));
    // A container's end is no event of its log.
    agent.on_status([followers = std::weak_ptr(watcher)](const kube::Pod&, bool) {
      if (const auto all = followers.lock()) {
        all->poke_all();
      }
    });
    return {};
  }

  Result<std::unique_ptr<LogWatcher::Watch>> watch_log(const std::string& path) {
    if (!watcher) {
      KEELSON_DO(watch_logs());
    }
    return watcher->watch(path);
  }

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

  /// The instance whose log or process is meant.
  Result<ObservedContainer> find_instance(const Target& target, bool previous) {
    const auto& path = target.path;
    if (path.size() != 4) {
      return fail(Kind::invalid, "the path is /{}/NAMESPACE/POD/CONTAINER", path[0]);
    }
    KEELSON_TRY(auto pod, agent.find_pod(path[1], path[2]));
    KEELSON_TRY(auto observed, agent.find_observed(path[1], path[2]));
    if (kube::find_container(pod.spec, path[3]) == nullptr) {
      return fail(Kind::not_found, "container {} is not valid for pod {}", path[3], path[2]);
    }
    const ObservedContainer* newest = observed.newest(path[3]);
    if (newest == nullptr) {
      return fail(Kind::invalid, "container \"{}\" in pod \"{}\" is waiting to start", path[3], path[2]);
    }
    if (!previous) {
      return *newest;
    }
    auto older = std::ranges::find_if(observed.containers, [&](const auto& c) {
      return c.name == path[3] && c.state == RunState::exited && &c != newest;
    });
    if (older != observed.containers.end()) {
      return *older;
    }
    if (newest->state == RunState::exited) {
      return *newest;
    }
    return fail(Kind::invalid, "previous terminated container \"{}\" in pod \"{}\" not found", path[3], path[2]);
  }

  Result<LogOptions> log_options(const Target& target) {
    LogOptions options;
    KEELSON_TRY(auto tail, number(target, "tailLines"));
    KEELSON_TRY(auto since, number(target, "sinceSeconds"));
    KEELSON_TRY(auto limit, number(target, "limitBytes"));
    if (tail) {
      options.tail_lines = static_cast<size_t>(*tail);
    }
    if (since) {
      options.since = loop.clock().wall() - std::chrono::seconds(*since);
    }
    if (limit) {
      options.limit_bytes = static_cast<size_t>(*limit);
    }
    options.timestamps = target.flag("timestamps");
    return options;
  }

  bool has_ended(const std::string& ns, const std::string& name, const std::string& id) {
    auto observed = agent.find_observed(ns, name);
    return !observed || std::ranges::none_of(observed->containers,
                                             [&](const auto& c) { return c.id == id && c.state != RunState::exited; });
  }

  /// A log as it grows, until its container has ended.
  Result<http::Response> follow(const Target& target, const std::string& log_path, std::string id) {
    KEELSON_TRY(auto options, log_options(target));
    KEELSON_TRY(auto watch, watch_log(log_path));
    auto what = std::make_shared<LogFollow>();
    what->path = log_path;
    what->options = options;
    what->watch = std::move(watch);
    what->ended = [this, ns = target.path[1], name = target.path[2], id = std::move(id)] {
      return has_ended(ns, name, id);
    };
    return http::Response{.type = "text/plain", .body = {}, .headers = {}, .stream = [what](http::Sink sink) {
                            what->sink = std::move(sink);
                            return follow_log(std::move(*what));
                          }};
  }

  Task<std::string> stream_url(Target target) {
    KEELSON_CO_TRY(auto instance, find_instance(target, false));
    if (instance.state != RunState::running) {
      co_return fail(Kind::conflict, "container \"{}\" does not run", target.path[3]);
    }
    bool tty = target.flag("tty");
    cri::RuntimeClient::StreamRequest request{
        .command = target.all("command"), .in = target.flag("stdin"), .out = true, .error = !tty, .tty = tty};
    bool exec = target.path[0] == "exec";
    if (exec && request.command.empty()) {
      co_return fail(Kind::invalid, "exec needs a command");
    }
    auto asked = exec ? service.exec(instance.id, std::move(request), kRequestLimit)
                      : service.attach(instance.id, std::move(request), kRequestLimit);
    KEELSON_CO_TRY(auto url, co_await std::move(asked));
    co_return json::serialize(json::object{{"url", url}});
  }

  Task<http::Response> answer(http::Request request) {
    Target target = std::move(request.target);
    const bool post = request.method == "POST";
    const std::string verb = target.path.empty() ? "" : target.path[0];
    if (post && (verb == "exec" || verb == "attach")) {
      KEELSON_CO_TRY(auto body, co_await stream_url(std::move(target)));
      co_return http::Response{.body = std::move(body)};
    }
    if (!post && verb == "healthz") {
      co_return http::text("ok");
    }
    if (!post && verb == "pods") {
      co_return http::Response{.body = kube::encode_json(agent.pods())};
    }
    if (!post && verb == "events") {
      co_return http::Response{
          .body = kube::encode_json(agent.events().list(target.text("namespace"), target.text("name")))};
    }
    if (!post && verb == "timeline" && target.path.size() == 3) {
      KEELSON_CO_TRY(auto body, timeline(target.path[1], target.path[2]));
      co_return http::Response{.body = std::move(body)};
    }
    if (!post && verb == "containerLogs") {
      co_return log(target);
    }
    co_return fail(Kind::not_found, "there is no /{} here", fmt::join(target.path, "/"));
  }

  Result<http::Response> log(const Target& target) {
    KEELSON_TRY(auto instance, find_instance(target, target.flag("previous")));
    if (target.flag("follow")) {
      return follow(target, instance.log_path, instance.id);
    }
    KEELSON_TRY(auto options, log_options(target));
    KEELSON_TRY(auto body, read_log(instance.log_path, options));
    return http::text(std::move(body));
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
