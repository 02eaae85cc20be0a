// SPDX-License-Identifier: Apache-2.0
#include "agent/kubelet_api/stats_endpoints.h"

#include <algorithm>
#include <array>

#include "agent/claim_usage.h"
#include "agent/config/node_cgroups.h"
#include "agent/kubelet_api/pod_counters.h"
#include "agent/node/machine.h"
#include "common/log.h"
#include "common/on_loop.h"
#include "metrics/cadvisor.h"
#include "metrics/exposition.h"
#include "metrics/node_reader.h"
#include "metrics/process_stats.h"
#include "metrics/resource.h"
#include "metrics/summary.h"

namespace keelson::agent {

namespace {

using metrics::Depth;

constexpr auto kAskLimit = std::chrono::seconds(10);

/// Gauges of what runs.
void collect_pods(const std::vector<KnownPod>& pods, const std::string& node, Stats& stats) {
  stats.gauge("kubelet_node_name", "[ALPHA] The node's name. The count is always 1.", 1, {{"node", node}});
  double running_pods = 0;
  std::array<double, 4> by_state{};
  for (const auto& known : pods) {
    running_pods += known.observed.ready_sandbox() != nullptr ? 1 : 0;
    for (const auto& container : known.observed.containers) {
      ++by_state[static_cast<size_t>(container.state)];
    }
  }
  stats.gauge("kubelet_running_pods", "[ALPHA] Number of pods that have a running pod sandbox", running_pods);
  constexpr const char* kStates[] = {"created", "running", "exited", "unknown"};
  for (size_t i = 0; i < by_state.size(); ++i) {
    stats.gauge("kubelet_running_containers", "[ALPHA] Number of containers currently running", by_state[i],
                {{"container_state", kStates[i]}});
  }
}

http::Response text_of(const Stats& stats, std::optional<WallTime> at = {}) {
  return {.type = metrics::kTextType, .body = metrics::prometheus_text(stats, at)};
}

}  // namespace

struct StatsEndpoints::State {
  State(Loop& l, Loop& al, Agent& a, cri::RuntimeClient& r, StatsOptions o)
      : loop(l),
        agents_loop(al),
        agent(a),
        options(std::move(o)),
        usage(l, al, a, r, options),
        counters(std::make_shared<PodCounters>(real_clock())) {
    a.on_status([all = counters](const kube::Pod& pod, bool gone) { all->changed(pod, gone); });
  }

  Task<http::Response> summary(bool only) {
    KEELSON_CO_TRY(const auto use, co_await usage.read(only ? Depth::groups : Depth::disks));
    co_return http::Response{.body = metrics::summary_json(use, only)};
  }

  Task<http::Response> cadvisor() {
    KEELSON_CO_TRY(const auto use, co_await usage.read(Depth::disks));
    Stats stats;
    metrics::collect_cadvisor(use, stats);
    stats.gauge("cadvisor_version_info",
                "A metric with a constant '1' value labeled by kernel version, OS version, docker version, cadvisor "
                "version & cadvisor revision.",
                1,
                {{"cadvisorRevision", ""},
                 {"cadvisorVersion", ""},
                 {"dockerVersion", ""},
                 {"kernelVersion", machine.kernel_version},
                 {"osVersion", machine.os_image}});
    co_return text_of(stats);
  }

  Task<http::Response> resource() {
    KEELSON_CO_TRY(const auto use, co_await usage.read(Depth::groups));
    Stats stats;
    metrics::collect_resource(use, stats);
    co_return text_of(stats, use.at);
  }

  Task<http::Response> own() {
    KEELSON_CO_TRY(const auto pods, co_await usage.pods());
    auto counted = [all = counters, &a = agent, more = options.more_of_agent] {
      Stats told;
      a.collect(told);
      all->collect(told);
      more(told);
      return Result<Stats>(std::move(told));
    };
    KEELSON_CO_TRY(auto stats,
                   co_await with_deadline<Stats>(loop, kAskLimit, on_loop(agents_loop, std::move(counted))));
    if (auto collected = metrics::collect_process(stats); !collected) {
      log::debug("kubelet API: {}", collected.error().message());
    }
    collect_pods(pods, options.node_name, stats);
    collect_claims(usage.claims(pods), stats);
    stats.gauge("kubelet_cgroup_version", "[ALPHA] cgroup version on the hosts.", has_unified_cgroups() ? 2 : 1);
    stats.gauge("kubernetes_build_info", "[ALPHA] The version of Kubernetes whose kubelet this node stands for.", 1,
                {{"git_version", options.version}});
    options.more(stats);
    co_return text_of(stats);
  }

  Task<std::optional<http::Response>> answer(http::Request request) {
    const auto& path = request.target.path;
    const auto is = [&path](std::initializer_list<std::string_view> wanted) {
      return std::ranges::equal(path, wanted);
    };
    std::optional<Task<http::Response>> work;
    if (is({"stats", "summary"})) {
      work = summary(request.target.flag("only_cpu_and_memory"));
    } else if (is({"metrics"})) {
      work = own();
    } else if (is({"metrics", "cadvisor"})) {
      work = cadvisor();
    } else if (is({"metrics", "resource"})) {
      work = resource();
    }
    if (!work) {
      co_return std::nullopt;
    }
    if (request.method != "GET" && !(request.method == "POST" && path[0] == "stats")) {
      co_return http::text("Method Not Allowed\n", 405);
    }
    KEELSON_CO_TRY(auto response, co_await *std::move(work));
    co_return std::optional(std::move(response));
  }

  Loop& loop;
  Loop& agents_loop;
  Agent& agent;
  const StatsOptions options;
  const Machine machine = read_identity("");
  NodeUsage usage;
  const std::shared_ptr<PodCounters> counters;  // the agent's thread's
};

StatsEndpoints::StatsEndpoints(Loop& loop, Loop& agents_loop, Agent& agent, cri::RuntimeClient& runtime,
                               StatsOptions options)
    : state_(std::make_unique<State>(loop, agents_loop, agent, runtime, std::move(options))) {}

StatsEndpoints::~StatsEndpoints() = default;

Task<std::optional<http::Response>> StatsEndpoints::answer(http::Request request) {
  return state_->answer(std::move(request));
}

}  // namespace keelson::agent
