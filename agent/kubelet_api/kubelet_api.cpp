// SPDX-License-Identifier: Apache-2.0
#include "agent/kubelet_api/kubelet_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>
#include <thread>

#include "agent/kubelet_api/checkpoint_endpoint.h"
#include "agent/kubelet_api/healthz.h"
#include "agent/kubelet_api/profile_endpoints.h"
#include "agent/kubelet_api/request_counters.h"
#include "agent/kubelet_api/serving_pair.h"
#include "agent/pod_endpoints.h"
#include "common/log.h"
#include "common/on_loop.h"
#include "common/task_group.h"
#include "cri/client/client.h"
#include "http/listening.h"
#include "kube/client/client.h"
#include "metrics/exposition.h"

namespace keelson::agent {

namespace {

constexpr size_t kMaxBody = 64 << 10;
constexpr auto kAskLimit = std::chrono::seconds(10);
constexpr std::string_view kDebugging[] = {"run",           "exec",        "attach", "portForward",
                                           "containerLogs", "runningpods", "debug",  "logs"};

Result<std::shared_ptr<http::TlsCertificate>> serving_certificate(KubeletApiOptions& options) {
  options.tls.ask_client = !options.authentication.client_ca_file.empty();
  const bool given = !options.tls.certificate_file.empty();
  if (!given) {
    std::vector<std::string> names = {options.authorization.node_name};
    names.insert(names.end(), options.node_addresses.begin(), options.node_addresses.end());
    KEELSON_TRY(auto pair, ensure_serving_pair(options.pki_folder, names, real_clock().wall()));
    options.tls.certificate_file = std::move(pair.certificate_file);
    options.tls.key_file = std::move(pair.key_file);
  }
  auto certificate = std::make_shared<http::TlsCertificate>(options.tls);
  if (auto usable = certificate->current(); !usable && !options.tls_comes_later) {
    return std::unexpected(std::move(usable).error());
  }
  return certificate;
}

}  // namespace

struct KubeletApi::State {
  State(KubeletApiOptions o, Loop& al)
      : options(std::move(o)),
        runtime(
            cri::connect_runtime(loop, options.cri_socket, options.node_stats->runtime_calls(), options.image_socket)),
        agents_loop(al),
        health(loop, agents_loop) {
    if (options.cluster) {
      client.emplace(loop, *options.cluster, kube::ClientOptions{.stats = options.node_stats->requests()});
      reviewer.emplace(*client);
    }
  }

  Result<> open(Agent& served) {
    agent = &served;
    Reviewer* asked = reviewer ? &*reviewer : nullptr;
    KEELSON_TRY(authenticator, Authenticator::make(loop, options.authentication, asked));
    authorizer.emplace(loop, options.authorization, asked);
    if (options.where) {
      KEELSON_TRY(certificate, serving_certificate(options));
      http::ServerOptions serving{.tls = certificate, .keep_alive = true, .max_body = kMaxBody};
      spawn("kubelet API", *options.where, &State::answer, std::move(serving));
    }
    if (options.healthz) {
      spawn("healthz", *options.healthz, &State::answer_healthz, {});
    }
    options.stats.cri_socket = options.cri_socket;
    options.stats.more = [this](Stats& all) { collect(all); };
    stats.emplace(loop, agents_loop, served, *runtime, options.stats);
    // The last, for the agent keeps a word of it.
    pods.emplace(loop, agents_loop, served, *runtime, PodEndpointOptions{.idle = options.stream_idle});
    return {};
  }

  void spawn(const std::string& name, const http::BindAddress& where,
             Task<http::Response> (State::*handler)(http::Request), http::ServerOptions serving) {
    auto server = std::make_shared<http::Server>(
        loop, name, [this, handler](http::Request request) { return (this->*handler)(std::move(request)); },
        std::move(serving));
    tasks.spawn(name, http::serve(loop, std::move(server), where));
  }

  Task<http::Response> answer_healthz(http::Request request) {
    if (request.target.path.empty() || request.target.path[0] != "healthz") {
      co_return http::text("404 page not found\n", 404);
    }
    co_return co_await health.answer(std::move(request));
  }

  Task<http::Response> answer(http::Request request) {
    auto counted = requests.begin(request.method, request.path);
    KEELSON_CO_TRY(auto response, co_await answer_anybody(std::move(request)));
    // A body that is still to come, or a session, is part of the request.
    if (response.stream) {
      response.stream = [counted, stream = std::move(response.stream)](http::Sink sink) {
        return stream(std::move(sink));
      };
    }
    if (response.take_over) {
      response.take_over = [counted,
                            take_over = std::move(response.take_over)](std::unique_ptr<http::Connection> connection) {
        return take_over(std::move(connection));
      };
    }
    co_return response;
  }

  Task<http::Response> answer_anybody(http::Request request) {
    auto user = co_await authenticator->user_of(request);
    if (!user) {
      log::debug("kubelet API: {} {}: {}", request.method, request.path, user.error().message());
      co_return http::text("Unauthorized", 401);
    }
    KEELSON_CO_TRY(auto refused, co_await authorizer->refusal(*std::move(user), question_of(request)));
    if (refused) {
      co_return *std::move(refused);
    }
    co_return co_await answer_known(std::move(request));
  }

  /// Of somebody who may.
  Task<http::Response> answer_known(http::Request request) {
    const auto& path = request.target.path;
    const std::string first = path.empty() ? "" : path[0];
    const bool get = request.method == "GET";
    if (first == "healthz") {
      co_return co_await health.answer(std::move(request));
    }
    if (!options.debugging_handlers && std::ranges::find(kDebugging, first) != std::end(kDebugging)) {
      co_return http::text("Debug endpoints are disabled.\n", 405);
    }
    if (first == "logs") {
      co_return system_log(options.logs, request);
    }
    if (first == "checkpoint") {
      co_return co_await checkpoint({loop, agents_loop, *agent, *runtime, options.checkpoint_folder},
                                    std::move(request));
    }
    if (first == "configz" && get) {
      co_return http::Response{.body = fmt::format(R"({{"kubeletconfig":{}}})", options.configuration)};
    }
    if (get && path == std::vector<std::string>{"metrics", "probes"}) {
      co_return co_await probes();
    }
    if (get && path == std::vector<std::string>{"metrics", "slis"}) {
      Stats found;
      health.collect(found);
      co_return metrics_text(found);
    }
    KEELSON_CO_TRY(auto profiled, co_await profiles.answer(request));
    if (profiled) {
      co_return *std::move(profiled);
    }
    KEELSON_CO_TRY(auto measured, co_await stats->answer(request));
    if (measured) {
      co_return *std::move(measured);
    }
    KEELSON_CO_TRY(auto answered, co_await pods->answer(std::move(request)));
    if (answered) {
      co_return *std::move(answered);
    }
    co_return http::text("404 page not found\n", 404);
  }

  static http::Response metrics_text(const Stats& found) {
    return {.type = metrics::kTextType, .body = metrics::prometheus_text(found)};
  }

  Task<http::Response> probes() {
    auto ask = [collect = options.collect_probes] {
      Stats found;
      collect(found);
      return Result<Stats>(std::move(found));
    };
    KEELSON_CO_TRY(const auto found,
                   co_await with_deadline<Stats>(loop, kAskLimit, on_loop(agents_loop, std::move(ask))));
    co_return metrics_text(found);
  }

  /// Of ourselves, for /metrics.
  void collect(Stats& all) const {
    options.node_stats->collect(all);
    if (certificate && certificate->expires()) {
      all.gauge("kubelet_certificate_manager_server_ttl_seconds",
                "[ALPHA] Gauge of the shortest TTL (time-to-live) of the Kubelet's serving certificate. The value is "
                "in seconds until certificate expiry (negative if already expired). If serving certificate is invalid "
                "or unused, the value will be +INF.",
                std::trunc(std::chrono::duration<double>(*certificate->expires() - loop.clock().wall()).count()));
    }
    requests.collect(all);
  }

  Task<> end() {
    KEELSON_CO_DO(co_await tasks.close());
    KEELSON_CO_DO(co_await health.close());
    if (client) {
      KEELSON_CO_DO(co_await client->close());
    }
    loop.stop();
    co_return Result<>();
  }

  KubeletApiOptions options;
  Loop loop{real_clock(), "kl-api"};
  std::unique_ptr<cri::RuntimeClient> runtime;
  std::optional<kube::Client> client;
  std::optional<ApiReviewer> reviewer;
  std::unique_ptr<Authenticator> authenticator;
  std::optional<Authorizer> authorizer;
  std::shared_ptr<http::TlsCertificate> certificate;
  Loop& agents_loop;
  Agent* agent = nullptr;  // from open() on
  std::optional<StatsEndpoints> stats;
  std::optional<PodEndpoints> pods;
  RequestCounters requests{loop.clock()};
  ProfileEndpoints profiles{loop, options.profiling};
  Healthz health;
  TaskGroup tasks{loop};
  TaskGroup ending{loop};
  std::jthread thread;
};

KubeletApi::KubeletApi(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<KubeletApi>> KubeletApi::start(KubeletApiOptions options, Loop& agents_loop, Agent& agent) {
  auto state = std::make_unique<State>(std::move(options), agents_loop);
  if (auto opened = state->open(agent); !opened) {
    state->ending.spawn("end the kubelet API", state->end());
    state->loop.run_until_idle();
    return std::unexpected(std::move(opened).error());
  }
  state->thread = std::jthread([&loop = state->loop] { loop.run(); });
  return std::unique_ptr<KubeletApi>(new KubeletApi(std::move(state)));
}

KubeletApi::~KubeletApi() {
  State& s = *state_;
  s.loop.post([&s] { s.ending.spawn("end the kubelet API", s.end()); });
  s.thread.join();
}

}  // namespace keelson::agent
