// SPDX-License-Identifier: Apache-2.0
// Wiring of runtime and agent, and their end.
#include "cmd/keelson/node.h"

#include <fmt/format.h>
#include <malloc.h>
#include <pthread.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <thread>

#include "cmd/keelson/agent_role.h"
#include "cmd/keelson/membership.h"
#include "cmd/keelson/network_options.h"
#include "cmd/keelson/pod_options.h"
#include "cmd/keelson/service_manager.h"
#include "common/duration.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/task_group.h"
#include "cri/client/client.h"
#include "cri/server.h"

namespace keelson::cli {

namespace fs = std::filesystem;

namespace {

constexpr auto kLoadDeadline = std::chrono::minutes(10);
constexpr auto kRuntimeDeadline = std::chrono::seconds(30);

bool has_role(const NodeConfig& config, std::string_view role) {
  return std::find(config.roles.begin(), config.roles.end(), role) != config.roles.end();
}

Result<std::unique_ptr<cri::Server>> start_runtime(const NodeConfig& config) {
  cri::RuntimeOptions options;
  options.state_dir = config.root + "/runtime";
  options.run_dir = config.run + "/runtime";
  options.socket = cri_socket(config);
  std::error_code ignored;
  auto here = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  options.shim_binary = config.shim.empty() ? (here / "keelson-shim").string() : config.shim;
  options.cni_conf_dir = config.cni_conf_dir;
  if (!config.cni_bin_dirs.empty()) {
    options.cni_bin_dirs = config.cni_bin_dirs;
  }
  for (const auto& text : config.runtime_handlers) {
    KEELSON_TRY(options.handlers.emplace_back(), cri::parse_runtime_handler(text).context("runtimeHandlers"));
  }
  options.image_archive_dir = config.image_archive_dir;
  options.registry_config_dir = config.registry_config_dir;
  options.streaming_address = config.stream_server_address;
  KEELSON_TRY(options.streaming_port, parse_port(config.stream_server_port));
  KEELSON_TRY(const auto idle, parse_duration(config.stream_idle_timeout));
  options.streaming_idle = std::chrono::ceil<std::chrono::milliseconds>(idle);
  options.streaming_tls_cert_file = config.stream_tls_cert_file;
  options.streaming_tls_key_file = config.stream_tls_key_file;
  options.systemd_cgroups = driver_of(config) == cgroup::Driver::systemd;
  options.default_cgroup_parent = cgroup::nested_path(driver_of(config), {config.cgroup_root, "keelson"});
  return cri::Server::start(options);
}

/// Waits until the runtime answers, then gives it the archives of a folder. A bad archive is told and passed over.
Task<> load_archives(cri::RuntimeClient* runtime, Loop* loop, std::string folder) {
  auto end = loop->clock().steady() + kRuntimeDeadline;
  for (;;) {
    auto version = co_await runtime->version(std::chrono::seconds(2));
    if (version) {
      log::info("runtime {} {} answers", version->name, version->version);
      break;
    }
    if (loop->clock().steady() > end) {
      log::warning("the runtime does not answer ({}), going on", version.error().message());
      loop->stop();
      co_return Result<>();
    }
    KEELSON_CO_DO(co_await loop->sleep(std::chrono::milliseconds(100)));
  }
  std::vector<std::string> archives;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().extension() == ".tar") {
      archives.push_back(entry.path());
    }
  }
  std::sort(archives.begin(), archives.end());
  for (const auto& archive : archives) {
    auto loaded = co_await runtime->load_image(archive, kLoadDeadline);
    if (!loaded) {
      log::warning("image archive {}: {}", archive, loaded.error().message());
    }
  }
  loop->stop();
  co_return Result<>();
}

/// load_archives() on a loop of its own, to its end. A runtime of our own process has loaded them before it served.
void load_archives_now(const NodeConfig& config) {
  if (config.image_archive_dir.empty() || has_role(config, "runtime")) {
    return;
  }
  Loop loop(real_clock(), "keelson");
  auto runtime = cri::connect_runtime(loop, cri_socket(config));
  TaskGroup group(loop);
  group.spawn("load image archives", load_archives(runtime.get(), &loop, config.image_archive_dir));
  loop.run();
}

/// Of a node with role agent.
struct Membership {
  std::optional<LocalNode> node;
  std::optional<agent::HeartbeatOptions> heartbeat;  ///< in a cluster
};

Result<Membership> membership_of(const NodeConfig& config) {
  Membership membership;
  if (!has_role(config, "agent")) {
    return membership;
  }
  KEELSON_TRY(membership.node, local_node(config));
  if (!config.kubeconfig.empty()) {
    KEELSON_TRY(membership.heartbeat, heartbeat_options(config));
  }
  KEELSON_DO(prepare_machine(config));
  return membership;
}

log::Level level_of(const std::string& name) {
  if (name == "debug") {
    return log::Level::debug;
  }
  if (name == "warning") {
    return log::Level::warning;
  }
  return name == "error" ? log::Level::error : log::Level::info;
}

int wait_for_signal(const sigset_t& signals) {
  int number = 0;
  ::sigwait(&signals, &number);
  return number;
}

/// The same, telling meanwhile that we live.
int wait_for_signal(const sigset_t& signals, const ServiceManager& manager) {
  if (!manager.period()) {
    return wait_for_signal(signals);
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*manager.period());
  const timespec period{.tv_sec = seconds.count(), .tv_nsec = (*manager.period() - seconds).count()};
  for (;;) {
    manager.alive();
    if (const int number = ::sigtimedwait(&signals, nullptr, &period); number > 0) {
      return number;
    }
  }
}

}  // namespace

std::string cri_socket(const NodeConfig& config) {
  return config.cri_socket.empty() ? config.run + "/cri.sock" : config.cri_socket;
}

cgroup::Driver driver_of(const NodeConfig& config) {
  return config.cgroup_driver == "systemd" ? cgroup::Driver::systemd : cgroup::Driver::cgroupfs;
}

Result<int> run_node(const NodeConfig& given) {
  KEELSON_DO(check_config(given));
  log::set_level(level_of(given.log_level));
  for (const auto& note : given.notes) {
    log::warning("{}", note);
  }
  const ServiceManager manager;
  // Before any thread is made, so that none of them takes the signal.
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::umask(0022);  // containers' users read some of what is made here, whatever shell started the node
  KEELSON_DO(make_directories(given.root, 0711));
  KEELSON_DO(make_directories(given.run, 0711));
  // The kernel tells mounts by their real paths; ours must be the same to the letter.
  NodeConfig config = given;
  config.root = fs::canonical(given.root);
  config.run = fs::canonical(given.run);

  KEELSON_TRY(const auto membership, membership_of(config));
  if (membership.heartbeat) {
    // Before any role reads the kubeconfig.
    KEELSON_DO(agent::Heartbeat::prepare(*membership.heartbeat).context("join the cluster"));
  }

  // gRPC's many threads would each get a heap of their own, and keep it.
  ::mallopt(M_ARENA_MAX, 2);
  std::unique_ptr<cri::Server> runtime;
  if (has_role(config, "runtime")) {
    KEELSON_TRY(runtime, start_runtime(config).context("start the runtime"));
    log::info("runtime serves CRI on {}", cri_socket(config));
  }
  load_archives_now(config);
  // Before pods: services are in force when their first process runs.
  std::unique_ptr<network::NetworkRole> network;
  if (has_role(config, "network")) {
    KEELSON_TRY(auto options, network_options(config, node_name(config)));
    if (options.api && options.api->kubeconfig == config.kubeconfig) {
      options.api->client_certificate = rotated_certificate(config);
    }
    if (config.roles.size() == 1) {
      options.handed_back = [] { ::kill(::getpid(), SIGTERM); };
    }
    KEELSON_TRY(network, network::NetworkRole::start(std::move(options)).context("start the network"));
  }
  std::unique_ptr<AgentRole> agent;
  if (has_role(config, "agent")) {
    std::optional<kube::ClusterAccess> access;
    if (!config.kubeconfig.empty()) {
      KEELSON_TRY(access, agent::node_access(config.kubeconfig, rotated_certificate(config)));
    }
    agent = std::make_unique<AgentRole>(config, *membership.node, std::move(access), manager);
    std::optional<ServiceRoutes> routes;
    if (network) {
      routes = ServiceRoutes{
          .pod_changed = [&network](const kube::Pod& pod, bool gone) { network->pod_changed(pod, gone); },
          .pod_ends = [&network](const kube::Pod& pod, bool for_good,
                                 std::function<void()> done) { network->pod_ends(pod, for_good, std::move(done)); }};
    }
    KEELSON_DO(agent->start(std::move(routes)));
    log::info("agent runs the pods of {}{}{}", config.manifest_dir.empty() ? "no folder" : config.manifest_dir,
              config.manifest_url.empty() ? "" : ", of staticPodURL",
              config.kubeconfig.empty() ? "" : ", and of the API server");
  }
  std::unique_ptr<agent::Heartbeat> heartbeat;
  if (membership.heartbeat) {
    auto options = *membership.heartbeat;
    options.board = &agent->board();
    options.stats = agent->node_stats();
    options.registrar.tell = [&agent](const agent::NodeEvent& event) { agent->record(event); };
    KEELSON_TRY(heartbeat, agent::Heartbeat::start(std::move(options)).context("join the cluster"));
  }
  if (auto released = release_startup_memory(); !released) {
    log::warning("memory of the start is kept: {}", released.error().message());
  }
  manager.ready();
  // With an agent, its loop tells that we live.
  auto number = agent ? wait_for_signal(signals) : wait_for_signal(signals, manager);
  manager.stopping();
  log::info("{}: stopping", ::strsignal(number));
  // Who asks twice does not want to wait.
  std::thread([signals] {
    wait_for_signal(signals);
    ::_exit(1);
  }).detach();
  bool clean = agent == nullptr || agent->stop();
  heartbeat.reset();  // until here, for pods may take minutes to end
  agent.reset();
  if (network) {
    clean = network->stop() && clean;
  }
  if (runtime) {
    runtime->stop();
  }
  return clean ? 0 : 1;
}

}  // namespace keelson::cli
