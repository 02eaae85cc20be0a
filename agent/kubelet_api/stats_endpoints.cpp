// SPDX-License-Identifier: Apache-2.0
#include "agent/kubelet_api/stats_endpoints.h"

#include <sys/utsname.h>

#include <algorithm>
#include <array>

#include "agent/config/resources.h"
#include "agent/config/volumes.h"
#include "agent/kubelet_api/pod_counters.h"
#include "common/cgroup/counters.h"
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
constexpr auto kDisksAge = std::chrono::seconds(30);
constexpr auto kDisksLimit = std::chrono::seconds(2);  // an answer without them is better than a scrape that times out

struct Known {
  kube::Pod pod;
  ObservedPod observed;
};

std::vector<Known> pods_of(const Agent& agent) {
  std::vector<Known> list;
  for (auto& pod : agent.pods()) {
    auto observed = agent.find_observed(pod.metadata.ns, pod.metadata.name);
    if (observed) {
      list.push_back({std::move(pod), *std::move(observed)});
    }
  }
  return list;
}

/// The newest instance of each container that runs.
std::vector<metrics::ContainerPlace> containers_of(const ObservedPod& observed) {
  std::vector<metrics::ContainerPlace> places;
  for (const auto& container : observed.containers) {
    if (container.state == RunState::running && observed.newest(container.name) == &container) {
      places.push_back({.name = container.name,
                        .id = container.id,
                        .image = container.image,
                        .log_path = container.log_path,
                        .started = container.started_at});
    }
  }
  return places;
}

std::vector<metrics::VolumePlace> volumes_of(const kube::Pod& pod, const Volumes& volumes) {
  std::vector<metrics::VolumePlace> places;
  for (const auto& volume : pod.spec.volumes) {
    if (!volume.host_path) {  // the node's own files are no use of the pod's
      places.push_back({.name = volume.name, .path = volumes.path_of(pod, volume)});
    }
  }
  return places;
}

metrics::DiskUse disk_of(const cri::FileUse& use) {
  return {.used = use.bytes, .inodes_used = use.inodes};
}

/// Gauges of what runs.
void collect_pods(const std::vector<Known>& pods, const std::string& node, Stats& stats) {
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
        runtime(r),
        options(std::move(o)),
        volumes(options.root),
        counters(std::make_shared<PodCounters>(real_clock())) {
    agent.on_status([all = counters](const kube::Pod& pod, bool gone) { all->changed(pod, gone); });
    if (auto cgroups = cgroup::CounterReader::open()) {
      reader = std::make_shared<metrics::NodeReader>(*std::move(cgroups));
    } else {
      log::warning("kubelet API: what pods use is not known: {}", cgroups.error().message());
    }
  }

  Task<std::vector<Known>> known_pods() {
    co_return co_await with_deadline<std::vector<Known>>(
        loop, kAskLimit, on_loop(agents_loop, [&a = agent] { return Result<std::vector<Known>>(pods_of(a)); }));
  }

  /// What the runtime tells of disks; what it told before while it is away.
  Task<> refresh_disks() {
    const auto now = loop.clock().steady();
    if (disks_at && now - *disks_at < kDisksAge) {
      co_return Result<>();
    }
    disks_at = now;  // whoever comes meanwhile takes what there is
    auto written = co_await runtime.list_writable_layers(kDisksLimit);
    if (!written) {
      log::debug("kubelet API: what containers wrote: {}", written.error().message());
      co_return Result<>();  // it is away: it need not be waited for twice
    }
    layers = *std::move(written);
    auto stored = co_await runtime.image_store(kDisksLimit);
    if (stored) {
      images = disk_of(*stored);
    } else {
      log::debug("kubelet API: the image store: {}", stored.error().message());
    }
    co_return Result<>();
  }

  metrics::NodePlaces places(const std::vector<Known>& pods) const {
    metrics::NodePlaces node{
        .name = options.node_name, .root = options.root, .pod_cgroups = {}, .pods = {}, .images = images};
    for (const char* group : {"kubepods", "kubepods/burstable", "kubepods/besteffort"}) {
      node.pod_cgroups.push_back(cgroup::nested_path(options.driver, {options.cgroup_root, group}));
    }
    for (const auto& [pod, observed] : pods) {
      auto& place = node.pods.emplace_back(metrics::PodPlace{
          .ns = pod.metadata.ns,
          .name = pod.metadata.name,
          .uid = pod.metadata.uid,
          .cgroup = pod_cgroup(options.driver, options.cgroup_root, pod),
          .started = pod.status.start_time.value_or(pod.metadata.creation_timestamp.value_or(WallTime())),
          .host_network = pod.spec.host_network,
          .containers = containers_of(observed),
          .volumes = volumes_of(pod, volumes)});
      for (auto& container : place.containers) {
        if (const auto known = layers.find(container.id); known != layers.end()) {
          container.layer = disk_of(known->second);
        }
      }
    }
    return node;
  }

  Task<metrics::NodeUse> read(Depth depth) {
    if (!reader) {
      co_return fail(Kind::unsupported, "this node has no cgroups that can be read");
    }
    if (depth == Depth::disks) {
      KEELSON_CO_DO(co_await refresh_disks());
    }
    KEELSON_CO_TRY(const auto pods, co_await known_pods());
    auto work = [reader = reader, what = places(pods), depth] {
      return Result<metrics::NodeUse>(reader->read(what, depth));
    };
    co_return co_await blocking(kernel, std::move(work));
  }

  Task<http::Response> summary(bool only) {
    KEELSON_CO_TRY(const auto use, co_await read(only ? Depth::groups : Depth::disks));
    co_return http::Response{.body = metrics::summary_json(use, only)};
  }

  Task<http::Response> cadvisor() {
    KEELSON_CO_TRY(const auto use, co_await read(Depth::disks));
    Stats stats;
    metrics::collect_cadvisor(use, stats);
    utsname kernel_name{};
    ::uname(&kernel_name);
    stats.gauge("cadvisor_version_info", "Whose kernel's numbers these are.", 1,
                {{"cadvisorVersion", ""}, {"kernelVersion", kernel_name.release}});
    co_return text_of(stats);
  }

  Task<http::Response> resource() {
    KEELSON_CO_TRY(const auto use, co_await read(Depth::groups));
    Stats stats;
    metrics::collect_resource(use, stats);
    co_return text_of(stats, use.at);
  }

  Task<http::Response> own() {
    KEELSON_CO_TRY(const auto pods, co_await known_pods());
    auto counted = [all = counters] {
      Stats told;
      all->collect(told);
      return Result<Stats>(std::move(told));
    };
    KEELSON_CO_TRY(auto stats,
                   co_await with_deadline<Stats>(loop, kAskLimit, on_loop(agents_loop, std::move(counted))));
    if (auto collected = metrics::collect_process(stats); !collected) {
      log::debug("kubelet API: {}", collected.error().message());
    }
    collect_pods(pods, options.node_name, stats);
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
  cri::RuntimeClient& runtime;
  const StatsOptions options;
  const Volumes volumes;
  const std::shared_ptr<PodCounters> counters;  // the agent's thread's
  std::shared_ptr<metrics::NodeReader> reader;  // null: no cgroups
  std::optional<SteadyTime> disks_at;
  std::map<std::string, cri::FileUse> layers;
  std::optional<metrics::DiskUse> images;
  asio::thread_pool kernel{1};
};

StatsEndpoints::StatsEndpoints(Loop& loop, Loop& agents_loop, Agent& agent, cri::RuntimeClient& runtime,
                               StatsOptions options)
    : state_(std::make_unique<State>(loop, agents_loop, agent, runtime, std::move(options))) {}

StatsEndpoints::~StatsEndpoints() = default;

Task<std::optional<http::Response>> StatsEndpoints::answer(http::Request request) {
  return state_->answer(std::move(request));
}

}  // namespace keelson::agent
