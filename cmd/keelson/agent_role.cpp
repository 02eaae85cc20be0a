// SPDX-License-Identifier: Apache-2.0
// The agent's parts wired together.
#include "cmd/keelson/agent_role.h"

#include <mutex>
#include <thread>

#include "agent/agent.h"
#include "agent/api_server.h"
#include "agent/cluster/cluster.h"
#include "agent/cluster/pod_range.h"
#include "agent/config/credential_config.h"
#include "agent/config/node_pod_configs.h"
#include "agent/container_prober.h"
#include "agent/cri_pod_runtime.h"
#include "agent/eviction/node_sources.h"
#include "agent/kubelet_api/kubelet_api.h"
#include "agent/node/node_addresses.h"
#include "agent/node/oom_watch.h"
#include "agent/node_limits.h"
#include "agent/node_usage.h"
#include "agent/pleg.h"
#include "agent/pod_resources/server.h"
#include "agent/shutdown/logind.h"
#include "agent/shutdown/node_shutdown.h"
#include "agent/storage/storage.h"
#include "cmd/keelson/agent_options.h"
#include "cmd/keelson/allocatable_options.h"
#include "cmd/keelson/cpu_options.h"
#include "cmd/keelson/eviction_options.h"
#include "cmd/keelson/kubelet_api_options.h"
#include "cmd/keelson/log_options.h"
#include "cmd/keelson/network_options.h"
#include "cmd/keelson/node.h"
#include "cmd/keelson/plugin_role.h"
#include "cmd/keelson/pod_resource_source.h"
#include "cmd/keelson/shutdown_options.h"
#include "common/log.h"
#include "common/task_group.h"
#include "cri/client/client.h"
#include "kube/client/client.h"

namespace keelson::cli {

namespace {

/// Who has the machine's shutdown wait for pods.
struct Shutdown {
  Shutdown(Loop& loop, agent::Agent& agent, agent::ShutdownOptions options)
      : node(loop, agent, with_release(std::move(options))), inhibitor(std::in_place, logind_options(loop)) {}

  agent::ShutdownOptions with_release(agent::ShutdownOptions options) {
    delay = agent::shutdown_time(options.periods);
    options.done = [this] {
      if (inhibitor) {
        inhibitor->release();
      }
    };
    return options;
  }
  agent::LogindOptions logind_options(Loop& loop) {
    return {.delay = delay,
            .tell = [this, &loop](bool going_down) { loop.post([this, going_down] { node.going_down(going_down); }); }};
  }

  std::chrono::seconds delay{0};
  agent::NodeShutdown node;
  std::optional<agent::LogindInhibitor> inhibitor;  // none once the daemon ends
};

/// A loop that others post to, for as long as it is there.
struct Door {
  explicit Door(Loop& l) : loop(&l) {}
  std::mutex mutex;
  Loop* loop;
};

/// Who ends pods when the node is short, and removes images.
struct Eviction {
  Eviction(Loop& loop, agent::Agent& agent, cri::RuntimeClient& runtime, const NodeConfig& config,
           const EvictionSettings& settings, int64_t reserved_memory)
      : usage(loop, loop, agent, runtime, usage_options(config)),
        images(loop, runtime, settings.images, settings.evictor.record),
        sources(usage, images, config.root, reserved_memory),
        evictor(loop, agent, sources, settings.evictor) {}

  agent::NodeUsage usage;
  agent::ImageCollector images;
  agent::NodeEvictionSources sources;
  agent::Evictor evictor;
};

}  // namespace

struct AgentRole::State {
  State(const NodeConfig& c, const LocalNode& node, std::optional<kube::ClusterAccess> access, const ServiceManager& m)
      : config(c),
        manager(m),
        local(node),
        loop(real_clock(), "kl-agent"),
        client(access ? std::make_unique<kube::Client>(loop, *std::move(access),
                                                       kube::ClientOptions{.stats = node_stats->requests()})
                      : nullptr),
        cluster(client ? std::make_unique<agent::Cluster>(*client, cluster_options(config, node)) : nullptr),
        storage(client ? std::make_unique<storage::Storage>(
                             *client,
                             storage_options(
                                 config, board, [this](auto&&... event) { agent.events().record(std::move(event)...); },
                                 volume_stats))
                       : nullptr),
        plugins(loop, config, board, cluster.get(), storage.get()),
        service(cri::connect_runtime(loop, cri_socket(config), node_stats->runtime_calls(), config.image_socket)),
        configs(loop, pod_config_options(config, node, volume_stats), cluster.get(), storage.get()),
        pulls(loop, node.pods.pulls),
        runtime(*service, configs, node.pods.calls, &pulls),
        pleg(loop, runtime, {.seen = [this](SteadyTime when) { board.tell_alive(when); }}),
        probes(loop, *service),
        agent(loop, agent_options(config, node, cluster != nullptr), runtime, &probes),
        api(loop, agent, *service),
        pod_range(loop, *service),
        tasks(loop) {}

  ~State() {
    const std::lock_guard lock(door->mutex);
    door->loop = nullptr;
  }

  Task<> leave_services(kube::Pod pod, bool for_good,
                        std::function<void(const kube::Pod&, bool, std::function<void()>)> pod_ends) {
    auto left = std::make_shared<asio::steady_timer>(loop.io(), asio::steady_timer::time_point::max());
    pod_ends(pod, for_good, [way = door, left] {
      const std::lock_guard lock(way->mutex);
      if (way->loop != nullptr) {
        way->loop->post([left] { left->cancel(); });
      }
    });
    co_await left->async_wait(use_result);
    co_return Result<>();
  }

  Task<> run() {
    KEELSON_CO_DO(configs.make_roots());
    tasks.spawn("limits of all pods",
                agent::limit_pods(loop, configs, limits, [this](const agent::NodeEvent& event) { record(event); }));
    runtime.watch([this](const std::string& uid) { agent.runtime_changed(uid); });
    tasks.spawn("look at the runtime", pleg.run());
    tasks.spawn("CPU manager", cpu_manager->run());
    tasks.spawn("service manager", keep_alive(&loop, &manager));
    tasks.spawn("admin API", api.run(config.run + "/admin.sock"));
    tasks.spawn("logs", logs->run());
    plugins.run(tasks);
    if (cluster) {
      tasks.spawn("storage", storage->run());
      tasks.spawn("cluster", cluster->run(
                                 agent, runtime,
                                 [this](const std::string& uid, agent::TokenMap renewed) {
                                   configs.tokens_changed(uid, std::move(renewed));
                                 },
                                 [this](const kube::Node& node) { node_is(node); }));
      tasks.spawn("range of pods", pod_range.run());
      tasks.spawn("watch for SystemOOM", agent::watch_ooms([this](const agent::OomVictim& victim) {
                    record({.warning = true, .reason = "SystemOOM", .message = agent::oom_text(victim)});
                  }));
      tasks.spawn("evictions", eviction->evictor.run());
      tasks.spawn("unused images", eviction->images.run());
    }
    co_return co_await agent.run();
  }

  void node_is(const kube::Node& node) {
    if (auto ips = agent::host_ips(node); !ips.empty()) {
      configs.node_ips_are(ips);
      agent.node_ips_are(std::move(ips));
    }
    pod_range.set(node.pod_cidrs);
  }

  /// An allotter cannot give the pod what it wants.
  void refuse(const kube::Pod& pod, const agent::AllotmentRefusal& refusal) {
    const auto message = "Pod was rejected: " + refusal.message;
    agent.fail_pod(pod.metadata.uid, {.phase = kube::PodPhase::failed, .reason = refusal.reason, .message = message},
                   std::nullopt);
    agent.events().record({.pod = pod.metadata, .container = {}}, agent::EventType::warning, refusal.reason,
                          refusal.message);
    if (cluster) {
      cluster->pod_refused(refusal.reason);
    }
  }

  Task<> end(bool* clean) {
    auto stopped = co_await agent.stop(config.remove_pods_on_exit);
    if (!stopped) {
      log::error("stop: {}", stopped.error().message());
      *clean = false;
    }
    if (config.remove_pods_on_exit) {
      configs.remove_empty_roots();
    }
    if (shutdown) {
      shutdown->inhibitor.reset();
      KEELSON_CO_DO(co_await shutdown->node.close());
    }
    KEELSON_CO_DO(co_await tasks.close());
    KEELSON_CO_DO(co_await plugins.close());
    if (cluster) {
      KEELSON_CO_DO(co_await storage->close());
      KEELSON_CO_DO(co_await cluster->close());
      KEELSON_CO_DO(co_await client->close());
    }
    loop.stop();
    co_return Result<>();
  }

  /// Before the thread is there.
  Result<> guard_limits() {
    KEELSON_TRY(limits, node_limits(config, local));
    return agent::limit_others(configs, limits);
  }

  /// Before the thread is there.
  Result<> share_cpus() {
    KEELSON_TRY(cpu_manager, make_cpu_manager(loop, *service, config, local));
    allotters.push_back(cpu_manager.get());
    return {};
  }

  /// Before the thread is there.
  Result<> read_credential_providers() {
    if (!config.image_credential_provider_config.empty()) {
      const auto& folder = config.image_credential_provider_bin_dir;
      KEELSON_TRY(auto providers, agent::load_credential_config(config.image_credential_provider_config, folder));
      configs.use_credential_providers(std::move(providers), folder);
    }
    return {};
  }

  /// Before the thread is there. Alone, all pods are static ones, and images nobody else's to bring back: all stay.
  Result<> guard_node() {
    if (!cluster) {
      return {};
    }
    KEELSON_TRY(auto settings, eviction_settings(config));
    settings.evictor.record = [this](const agent::NodeEvent& event) { record(event); };
    settings.evictor.tell = [this](const agent::Pressures& pressures) {
      board.tell(pressures);
      cluster->pressed_by(pressures);
    };
    eviction.emplace(loop, agent, *service, config, settings, local.reserved_memory);
    return {};
  }

  /// Before the thread is there.
  Result<> guard_logs() {
    KEELSON_TRY(const auto rotation, log_rotation(config));
    logs.emplace(loop, *service, rotation);
    return {};
  }

  /// Before the thread is there.
  Result<> guard_shutdown() {
    agent::ShutdownOptions options;
    KEELSON_TRY(options.periods, shutdown_periods(config));
    if (options.periods.empty()) {
      return {};
    }
    options.state_file = config.root + "/graceful_node_shutdown_state";
    options.record = [this](const agent::NodeEvent& event) { record(event); };
    options.tell = [this](bool now) {
      board.tell_shutdown(now);
      if (cluster) {
        cluster->shutting_down(now);
      }
    };
    shutdown.emplace(loop, agent, std::move(options));
    return {};
  }

  void collect(Stats& stats) const {
    pleg.collect(stats);
    configs.collect(stats);
    cpu_manager->collect(stats);
    plugins.collect(stats);
    if (pod_resources) {
      pod_resources->collect(stats);
    }
    if (cluster) {
      cluster->collect(stats);
    }
    if (shutdown) {
      shutdown->node.collect(stats);
    }
    if (eviction) {
      eviction->evictor.collect(stats);
      eviction->images.collect(stats);
    }
  }

  void record(const agent::NodeEvent& event) {
    const auto name = node_name(config);
    // The kubelet's way: the uid of a Node in its events is its name.
    agent.events().record({.kind = "Node",
                           .ns = "default",
                           .name = name,
                           .uid = name,
                           .api_version = "v1",
                           .resource_version = {},
                           .field_path = {}},
                          event.warning ? agent::EventType::warning : agent::EventType::normal, event.reason,
                          event.message);
  }

  /// Before the thread is there. Pods do without.
  void serve_pod_resources() {
    auto served = pod_resources::Server::start(loop, resource_source, config.root + "/pod-resources/kubelet.sock");
    if (!served) {
      log::warning("podresources API: {}; nobody can ask for devices and CPUs of pods", served.error().message());
      return;
    }
    pod_resources = *std::move(served);
  }

  /// Before the thread is there.
  Result<> serve_cluster() {
    KEELSON_TRY(auto options, kubelet_api_options(config, local.addresses));
    if (options) {
      options->node_stats = node_stats;
      options->collect_probes = [this](Stats& stats) { probes.collect(stats); };
      options->stats.mounted = [this](const std::string& uid) {
        auto mounted = configs.mounted(uid);
        if (storage) {
          storage->tell_use(uid, mounted);
        }
        return mounted;
      };
      options->stats.more_of_agent = [this](Stats& stats) { collect(stats); };
      KEELSON_TRY(kubelet_api, agent::KubeletApi::start(*std::move(options), loop, agent));
    }
    return {};
  }

  const NodeConfig& config;
  const ServiceManager& manager;
  const LocalNode local;
  agent::NodeLimits limits;
  agent::NodeBoard board;
  const std::shared_ptr<agent::NodeStats> node_stats = std::make_shared<agent::NodeStats>();
  const std::shared_ptr<agent::VolumeStats> volume_stats = std::make_shared<agent::VolumeStats>();
  Loop loop;
  std::unique_ptr<kube::Client> client;  // with the next two: nullptr where there is no API server
  std::unique_ptr<agent::Cluster> cluster;
  std::unique_ptr<storage::Storage> storage;
  PluginRole plugins;
  std::unique_ptr<cri::RuntimeClient> service;
  std::unique_ptr<cpus::CpuManager> cpu_manager;  // once it has started
  agent::NodePodConfigs configs;
  std::vector<agent::Allotter*> allotters = {&plugins.devices()};
  agent::PullGate pulls;
  agent::CriPodRuntime runtime;
  agent::Pleg pleg;
  agent::ContainerProber probes;
  agent::Agent agent;
  agent::ApiServer api;
  const PodResourceSource resource_source{agent, plugins.devices(), cpu_manager};
  agent::PodRange pod_range;  // of a cluster's
  std::optional<agent::LogRotator> logs;
  std::optional<Eviction> eviction;  // in a cluster
  std::optional<Shutdown> shutdown;
  TaskGroup tasks;
  TaskGroup stopping{loop};
  std::shared_ptr<Door> door = std::make_shared<Door>(loop);
  std::jthread thread;
  // These end when the thread has ended, and before the agent goes.
  std::unique_ptr<pod_resources::Server> pod_resources;
  std::unique_ptr<agent::KubeletApi> kubelet_api;
};

AgentRole::AgentRole(const NodeConfig& config, const LocalNode& node, std::optional<kube::ClusterAccess> access,
                     const ServiceManager& manager)
    : state_(std::make_unique<State>(config, node, std::move(access), manager)) {}
AgentRole::~AgentRole() = default;

Result<> AgentRole::start(std::optional<ServiceRoutes> routes) {
  State& s = *state_;
  KEELSON_DO(s.share_cpus());
  s.configs.use_allotters(
      s.allotters, [&s](const kube::Pod& pod, const agent::AllotmentRefusal& refusal) { s.refuse(pod, refusal); });
  KEELSON_DO(s.guard_logs());
  KEELSON_DO(s.guard_limits());
  KEELSON_DO(s.read_credential_providers().context("imageCredentialProviderConfig"));
  KEELSON_DO(s.guard_node());
  KEELSON_DO(s.guard_shutdown());
  s.serve_pod_resources();
  KEELSON_DO(s.serve_cluster().context("kubelet API"));
  if (routes) {
    s.agent.on_status(std::move(routes->pod_changed));
    s.agent.set_leave_services([&s, ends = std::move(routes->pod_ends)](kube::Pod pod, bool for_good) {
      return s.leave_services(std::move(pod), for_good, ends);
    });
  }
  s.thread = std::jthread([&s] {
    s.agent.on_objects([&s](const kube::DesiredState& state) {
      s.cpu_manager->objects_changed(state);
      s.configs.objects_changed(state);
      s.plugins.wanted(state, s.configs);
    });
    s.tasks.spawn("agent", s.run());
    s.loop.run();
  });
  return {};
}

void AgentRole::record(const agent::NodeEvent& event) {
  State& s = *state_;
  s.loop.post([&s, event] { s.record(event); });
}

agent::NodeBoard& AgentRole::board() {
  return state_->board;
}

std::shared_ptr<agent::NodeStats> AgentRole::node_stats() {
  return state_->node_stats;
}

bool AgentRole::stop() {
  State& s = *state_;
  bool clean = true;
  s.loop.post([&s, &clean] { s.stopping.spawn("stop", s.end(&clean)); });
  s.thread.join();
  s.kubelet_api.reset();
  s.pod_resources.reset();
  return clean;
}

}  // namespace keelson::cli
