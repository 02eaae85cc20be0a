// SPDX-License-Identifier: Apache-2.0
#include "agent/pod_endpoints.h"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "agent/container_log.h"
#include "agent/pod_request.h"
#include "common/on_loop.h"
#include "common/task_group.h"
#include "http/upgrade.h"
#include "kube/codec.h"

namespace keelson::agent {

namespace {

namespace json = boost::json;
using http::Target;

constexpr auto kRequestLimit = std::chrono::seconds(10);
constexpr int kPiecesAtOnce = 4;
constexpr auto kRunLimit = std::chrono::minutes(10);

struct Found {
  kube::Pod pod;
  ObservedPod observed;
};

Result<Found> find_pod(const Agent& agent, const PodAddress& address) {
  KEELSON_TRY(auto pod, agent.find_pod(address.ns, address.pod));
  KEELSON_TRY(auto observed, agent.find_observed(address.ns, address.pod));
  if (!address.uid.empty() && address.uid != pod.metadata.uid) {
    return fail(Kind::not_found, "pods \"{}\" of uid {} not found", address.pod, address.uid);
  }
  return Found{std::move(pod), std::move(observed)};
}

/// The instance whose log or process is meant.
Result<ObservedContainer> find_instance(const Agent& agent, const PodAddress& address, bool previous) {
  KEELSON_TRY(const auto found, find_pod(agent, address));
  const auto& name = address.container;
  if (kube::find_container(found.pod.spec, name) == nullptr) {
    return fail(Kind::not_found, "container {} is not valid for pod {}", name, address.pod);
  }
  const ObservedContainer* newest = found.observed.newest(name);
  if (newest == nullptr) {
    return fail(Kind::invalid, "container \"{}\" in pod \"{}\" is waiting to start{}", name, address.pod,
                why_waiting(found.pod.status, name));
  }
  if (!previous) {
    return *newest;
  }
  auto older = std::ranges::find_if(found.observed.containers, [&](const auto& c) {
    return c.name == name && c.state == RunState::exited && &c != newest;
  });
  if (older != found.observed.containers.end()) {
    return *older;
  }
  if (newest->state == RunState::exited) {
    return *newest;
  }
  return fail(Kind::invalid, "previous terminated container \"{}\" in pod \"{}\" not found", name, address.pod);
}

bool has_ended(const Agent& agent, const PodAddress& address, const std::string& id) {
  auto observed = agent.find_observed(address.ns, address.pod);
  return !observed || std::ranges::none_of(observed->containers,
                                           [&](const auto& c) { return c.id == id && c.state != RunState::exited; });
}

/// Pods with a process, as little of them as the runtime knows.
std::vector<kube::Pod> running(const Agent& agent) {
  std::vector<kube::Pod> list;
  for (const auto& pod : agent.pods()) {
    const auto observed = agent.find_observed(pod.metadata.ns, pod.metadata.name);
    kube::Pod shown;
    shown.metadata = {.name = pod.metadata.name, .ns = pod.metadata.ns, .uid = pod.metadata.uid};
    for (const auto& container : observed ? observed->containers : std::vector<ObservedContainer>()) {
      if (container.state == RunState::running) {
        auto& one = shown.spec.containers.emplace_back();
        one.name = container.name;
        one.image = container.image;
      }
    }
    if (!shown.spec.containers.empty()) {
      list.push_back(std::move(shown));
    }
  }
  return list;
}

}  // namespace

struct PodEndpoints::State {
  using Handler = Task<http::Response> (State::*)(http::Request);
  struct Route {
    std::string_view path;
    std::string_view methods;  // "GET POST"
    bool takes(std::string_view method) const {
      return std::ranges::any_of(std::views::split(methods, ' '),
                                 [&](auto one) { return std::string_view(one.begin(), one.end()) == method; });
    }
    Handler handler;
  };

  Loop& loop;
  Loop& agents_loop;
  Agent& agent;
  cri::RuntimeClient& runtime;
  const PodEndpointOptions options;
  TaskGroup watchers;
  std::shared_ptr<LogWatcher> watcher = {};  // from the first log that is followed on
  // The same for a listener that may outlive us.
  std::shared_ptr<std::weak_ptr<LogWatcher>> followers = std::make_shared<std::weak_ptr<LogWatcher>>();

  /// On the agent's thread, within a bound.
  template <class F>
  auto ask(F question) {
    using Answer = std::invoke_result_t<F>;
    return with_deadline<typename Answer::value_type>(loop, kRequestLimit, on_loop(agents_loop, std::move(question)));
  }

  // A container's end is no event of its log. Told on the agent's thread; what is followed belongs to ours.
  void hear_of_ends() {
    agent.on_status([own = &loop, all = followers](const kube::Pod&, bool) {
      own->post([all] {
        if (const auto known = all->lock()) {
          known->poke_all();
        }
      });
    });
  }

  Result<std::unique_ptr<LogWatcher::Watch>> watch_log(const std::string& path) {
    if (!watcher) {
      KEELSON_TRY(watcher, LogWatcher::open(loop));
      watchers.spawn("watch logs", LogWatcher::run(watcher));
      *followers = watcher;
    }
    return watcher->watch(path);
  }

  Task<http::Response> pods(http::Request) {
    KEELSON_CO_TRY(const auto list, co_await ask([&a = agent] { return Result<std::vector<kube::Pod>>(a.pods()); }));
    co_return http::Response{.body = kube::encode_json(list)};
  }

  Task<http::Response> running_pods(http::Request) {
    KEELSON_CO_TRY(const auto list, co_await ask([&a = agent] { return Result<std::vector<kube::Pod>>(running(a)); }));
    co_return http::Response{.body = kube::encode_json(list)};
  }

  Task<http::Response> container_logs(http::Request request) {
    const Target& target = request.target;
    KEELSON_CO_TRY(auto address, pod_address(target.path));
    KEELSON_CO_TRY(auto options_of_log, log_options(target, loop.clock().wall()));
    const bool previous = target.flag("previous");
    KEELSON_CO_TRY(auto instance,
                   co_await ask([&a = agent, address, previous] { return find_instance(a, address, previous); }));
    if (target.flag("follow")) {
      co_return follow(std::move(address), std::move(options_of_log), std::move(instance));
    }
    KEELSON_CO_TRY(auto reader, LogReader::open(instance.log_path, std::move(options_of_log)));
    co_return show(std::move(reader));
  }

  /// A log as it is. What fits into a few pieces is sent at once; a larger one while it is read.
  static Result<http::Response> show(LogReader reader) {
    std::string shown;
    for (int i = 0; i < kPiecesAtOnce; ++i) {
      KEELSON_TRY(auto piece, reader.next());
      shown += piece.text;
      if (piece.end) {
        return http::text(shown + reader.take_rest());
      }
    }
    // Shared, for a function can be copied, and a reader cannot.
    auto rest = std::make_shared<LogReader>(std::move(reader));
    http::Response response{.type = "text/plain"};
    response.stream = [shown = std::move(shown), rest](http::Sink sink) {
      return show_log(shown, std::move(*rest), std::move(sink));
    };
    return response;
  }

  /// A log as it grows, until its container has ended.
  Result<http::Response> follow(PodAddress address, LogOptions options_of_log, ObservedContainer instance) {
    KEELSON_TRY(auto watch, watch_log(instance.log_path));
    auto what = std::make_shared<LogFollow>();
    what->path = instance.log_path;
    what->options = std::move(options_of_log);
    what->watch = std::move(watch);
    what->ended = [this, address = std::move(address), id = instance.id] {
      return ask([&a = agent, address, id] { return Result<bool>(has_ended(a, address, id)); });
    };
    http::Response response{.type = "text/plain"};
    response.stream = [what](http::Sink sink) {
      what->sink = std::move(sink);
      return follow_log(std::move(*what));
    };
    return response;
  }

  Task<ObservedContainer> running_instance(PodAddress address) {
    KEELSON_CO_TRY(auto instance, co_await ask([&a = agent, address] { return find_instance(a, address, false); }));
    if (instance.state != RunState::running) {
      co_return fail(Kind::conflict, "container \"{}\" does not run", address.container);
    }
    co_return instance;
  }

  Task<http::Response> exec_or_attach(http::Request request) {
    const Target& target = request.target;
    const bool exec = target.path[0] == "exec";
    auto streams = streams_of(target, options.give_urls);
    if (exec && streams.command.empty()) {
      co_return fail(Kind::invalid, "exec needs a command");
    }
    if (!streams.in && !streams.out && !streams.error) {
      co_return fail(Kind::invalid, "you must specify at least 1 of stdin, stdout, stderr");
    }
    KEELSON_CO_TRY(const auto address, pod_address(target.path));
    KEELSON_CO_TRY(const auto instance, co_await running_instance(address));
    auto asked = exec ? runtime.exec(instance.id, std::move(streams), kRequestLimit)
                      : runtime.attach(instance.id, std::move(streams), kRequestLimit);
    KEELSON_CO_TRY(auto url, co_await std::move(asked));
    co_return session(std::move(request), std::move(url));
  }

  Task<http::Response> port_forward(http::Request request) {
    KEELSON_CO_TRY(auto ports, ports_of(request.target));
    KEELSON_CO_TRY(const auto address, pod_address(request.target.path));
    KEELSON_CO_TRY(const auto found, co_await ask([&a = agent, address] { return find_pod(a, address); }));
    const ObservedSandbox* sandbox = found.observed.ready_sandbox();
    if (sandbox == nullptr) {
      co_return fail(Kind::conflict, "pod \"{}\" does not run", address.pod);
    }
    KEELSON_CO_TRY(auto url, co_await runtime.port_forward(sandbox->id, std::move(ports), kRequestLimit));
    co_return session(std::move(request), std::move(url));
  }

  http::Response session(http::Request request, std::string url) {
    if (options.give_urls) {
      return {.body = json::serialize(json::object{{"url", url}})};
    }
    return http::pass_upgrade(loop, std::move(request), std::move(url), options.idle);
  }

  Task<http::Response> run(http::Request request) {
    auto command = words_of(request.target.text("cmd"));
    if (command.empty()) {
      co_return fail(Kind::invalid, "run needs a cmd");
    }
    KEELSON_CO_TRY(const auto address, pod_address(request.target.path));
    KEELSON_CO_TRY(const auto instance, co_await running_instance(address));
    KEELSON_CO_TRY(auto ended, co_await runtime.exec_sync(instance.id, std::move(command), kRunLimit));
    co_return http::text(ended.out + ended.error, ended.exit_code == 0 ? 200 : 500);
  }

  static constexpr Route kRoutes[] = {{"pods", "GET", &State::pods},
                                      {"runningpods", "GET", &State::running_pods},
                                      {"containerLogs", "GET", &State::container_logs},
                                      {"exec", "GET POST", &State::exec_or_attach},
                                      {"attach", "GET POST", &State::exec_or_attach},
                                      {"portForward", "GET POST", &State::port_forward},
                                      {"run", "POST", &State::run}};

  Task<std::optional<http::Response>> answer(http::Request request) {
    const auto path = request.target.path.empty() ? "" : request.target.path[0];
    const auto* route = std::ranges::find(kRoutes, path, &Route::path);
    if (route == std::end(kRoutes)) {
      co_return std::nullopt;
    }
    if (!route->takes(request.method)) {
      co_return http::text(fmt::format("/{} is asked by {}\n", path, route->methods), 405);
    }
    const bool session = path == "exec" || path == "attach" || path == "portForward";
    if (session && !options.give_urls && !request.wants_upgrade()) {
      co_return http::text("Upgrade request required\n", 400);
    }
    KEELSON_CO_TRY(auto response, co_await (this->*route->handler)(std::move(request)));
    co_return std::optional(std::move(response));
  }
};

PodEndpoints::PodEndpoints(Loop& loop, Loop& agents_loop, Agent& agent, cri::RuntimeClient& runtime,
                           PodEndpointOptions options)
    : state_(new State{.loop = loop,
                       .agents_loop = agents_loop,
                       .agent = agent,
                       .runtime = runtime,
                       .options = options,
                       .watchers = TaskGroup(loop)}) {
  state_->hear_of_ends();
}

PodEndpoints::~PodEndpoints() = default;

Task<std::optional<http::Response>> PodEndpoints::answer(http::Request request) {
  return state_->answer(std::move(request));
}

}  // namespace keelson::agent
