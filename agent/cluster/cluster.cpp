// SPDX-License-Identifier: Apache-2.0
// The parts of this folder put together.
#include "agent/cluster/cluster.h"

#include <sys/utsname.h>

#include <random>

#include "agent/cluster/cluster_stats.h"
#include "agent/cluster/event_sender.h"
#include "agent/cluster/mirror_pods.h"
#include "agent/cluster/pod_ledger.h"
#include "agent/cluster/referred_objects.h"
#include "agent/cluster/status_manager.h"
#include "agent/cluster/token_manager.h"
#include "agent/critical_pod.h"
#include "common/apparmor.h"
#include "common/log.h"
#include "common/task_group.h"
#include "kube/client/watch.h"
#include "kube/folder/manifest_folder.h"

namespace keelson::agent {

namespace {

/// How long a pod waits for the first answer about what it refers to. The kubelet's is one minute; then it says what is
/// missing, and tries again, as we do. No container begins before all is known that its environment is made of.
constexpr std::chrono::seconds kInputsWait{5};
constexpr std::chrono::seconds kRuntimeWait{1};

uint64_t random_seed() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

kube::StringMap own_labels(const ClusterOptions& options) {
  utsname system{};
  ::uname(&system);
  const std::string machine = system.machine;
  const std::string arch = machine == "x86_64" ? "amd64" : machine == "aarch64" ? "arm64" : machine;
  auto labels = options.labels;
  labels.merge(kube::StringMap{
      {"kubernetes.io/hostname", options.node_name}, {"kubernetes.io/os", "linux"}, {"kubernetes.io/arch", arch}});
  return labels;
}

}  // namespace

struct Cluster::State {
  State(kube::Client& c, ClusterOptions o)
      : client(c),
        options(std::move(o)),
        seeds(options.seed != 0 ? options.seed : random_seed()),
        ledger({.node_name = options.node_name,
                .has_manifests = !options.manifest_dir.empty(),
                .allocatable = options.allocatable,
                .labels = own_labels(options),
                .sysctls = options.sysctls,
                .limits_swap = options.limits_swap,
                .apparmor = apparmor_is_on(),
                .static_cpus = options.static_cpus}),
        call(limited(c.loop(), api_call(c), options.requests)),
        statuses(c.loop(), call, seeds()),
        tokens(c.loop(), call, seeds(),
               [this](const std::string& uid, TokenMap tokens_now) { renewed(uid, std::move(tokens_now)); }),
        events(c.loop(), api_call(c), seeds(), {.requests = options.events}, [this] { return statuses.has_news(); }),
        mirrors(
            c.loop(), call, options.node_name, seeds(), [this](const kube::Pod& pod) { learn({pod}); },
            [this](const std::string& name) { return is_on_node(name); }),
        referred(c, seeds, [this] { dirty(); }),
        pods(c,
             {.ns = "",
              .label_selector = {},
              .field_selector = "spec.nodeName=" + options.node_name,
              .annotations = {"*"},
              // A cache that lags would not have what runs here since a moment before we began.
              .newest = true,
              .seed = seeds()},
             pods_consumer()),
        node(c,
             {.ns = "", .label_selector = {}, .field_selector = "metadata.name=" + options.node_name, .seed = seeds()},
             node_consumer()),
        inputs_changed(c.loop().io(), asio::steady_timer::time_point::max()),
        tasks(c.loop()) {
    statuses.on_answer([this] {
      works();
      retry_watches();
    });
  }

  // ---- From the API

  kube::WatchConsumer<kube::Pod> pods_consumer() {
    return {.synced =
                [this](std::vector<kube::Pod> all) {
                  std::set<std::string> names;
                  for (const auto& pod : all) {
                    names.insert(kube::full_name(pod.metadata));
                    statuses.api_has(pod);
                    counts.starts.seen(pod, client.loop().clock().wall());
                  }
                  for (const auto* known : {&ledger.api_pods(), &ledger.mirrors()}) {
                    for (const auto& [name, pod] : *known) {
                      if (!names.contains(name)) {
                        counts.starts.gone(name);
                        statuses.api_lost(name);
                      }
                    }
                  }
                  ledger.synced(std::move(all), std::exchange(left_out, false));
                  works();
                  dirty();
                },
            .changed =
                [this](kube::Changes<kube::Pod> changes) {
                  works();
                  for (const auto& gone : changes.removed) {
                    counts.starts.gone(gone.name);
                    statuses.api_lost(gone.name, gone.uid);
                  }
                  for (const auto& pod : changes.changed) {
                    statuses.api_has(pod);
                    counts.starts.seen(pod, client.loop().clock().wall());
                  }
                  if (ledger.changed(std::move(changes))) {
                    dirty();
                  }
                },
            .failed = [this](const Error& error, Duration) { tell(error); },
            .left_out =
                [this](const kube::LeftOut& what) {
                  left_out = true;
                  log::error("pod left out: {}; no pod is removed for being missing until that is mended", what);
                }};
  }

  kube::WatchConsumer<kube::OwnNode> node_consumer() {
    return {.synced =
                [this](std::vector<kube::OwnNode> all) {
                  node_is(all.empty() ? std::nullopt : std::optional(std::move(all.front())));
                },
            .changed =
                [this](kube::Changes<kube::OwnNode> changes) {
                  if (!changes.removed.empty()) {
                    node_is(std::nullopt);
                  }
                  for (auto& changed : changes.changed) {
                    node_is(std::move(changed));
                  }
                },
            .failed = [this](const Error& error, Duration) { tell(error); },
            .left_out = [](const kube::LeftOut& what) { log::warning("node left out: {}", what); }};
  }

  void node_is(std::optional<kube::OwnNode> now) {
    if (now) {
      node_changed(*now);
    }
    if (ledger.node_is(std::move(now))) {
      dirty();
    }
  }

  /// One line when it begins, not one for each attempt, nor for each of those that fail for the same reason.
  void tell(const Error& error) {
    const auto now = std::pair(error.kind(), error.code());
    if (trouble != now) {
      log::warning("{}; pods go on as last known, trying again", error.message());
      trouble = now;
    }
  }
  void works() {
    if (std::exchange(trouble, std::nullopt)) {
      log::info("the API server answers");
    }
  }

  /// What a request's answer says of a pod, ahead of the watch.
  void learn(std::vector<kube::Pod> changed) {
    for (const auto& pod : changed) {
      statuses.api_has(pod);
    }
    if (ledger.changed({.changed = std::move(changed), .removed = {}})) {
      dirty();
    }
  }

  void retry_watches() {
    pods.retry_now();
    node.retry_now();
    referred.retry_now();
  }

  // ---- To the agent

  /// The agent is told once for all that happens in one turn of the loop.
  void dirty() {
    if (!std::exchange(told_soon, true)) {
      tasks.spawn("tell the agent", tell_agent());
    }
  }

  Task<> tell_agent() {
    co_await asio::post(asio::use_awaitable);  // a task's first part runs where it is spawned: not now, but next
    told_soon = false;
    auto state = ledger.wanted(client.loop().clock().wall());
    for (const auto& rejected : ledger.take_rejected()) {
      counts.rejected(rejected.rejection.reason);
      agent->events().record({.pod = rejected.pod.metadata, .container = {}}, EventType::warning,
                             rejected.rejection.reason, rejected.rejection.message);
    }
    referred.want(ledger.references());
    referred.copy_to(state);
    agent->desired(std::move(state));
    preempt();
    update_mirrors();
    inputs_changed.cancel();
    co_return Result<>();
  }

  /// With their own grace, for they did nothing wrong.
  void preempt() {
    for (const auto& [pod, resource] : ledger.take_preempted()) {
      constexpr const char* kMessage = "Preempted in order to admit critical pod";
      if (!agent->fail_pod(pod.metadata.uid,
                           {.phase = kube::PodPhase::failed,
                            .reason = "Preempting",
                            .message = kMessage,
                            .disruption = "Pod was preempted by Kubelet to accommodate a critical pod."},
                           std::nullopt)) {
        continue;
      }
      log::info("pod {} is preempted: a critical pod lacks {}", kube::full_name(pod.metadata), resource);
      agent->events().record({.pod = pod.metadata, .container = {}}, EventType::warning, "Preempting", kMessage);
      counts.preempted(resource);
    }
  }

  void update_mirrors() {
    if (ledger.complete()) {
      mirrors.update(ledger.statics(), ledger.mirrors(), ledger.node_uid());
    }
  }

  bool is_on_node(const std::string& name) const {
    const auto slash = name.find('/');
    return agent->find_pod(name.substr(0, slash), name.substr(slash + 1)).has_value();
  }

  void pod_changed(const kube::Pod& pod, bool gone) {
    statuses.says(pod, gone);
    if (is_final(pod.status.phase) && !gone && ledger.stopped(pod.metadata.uid)) {
      dirty();
    }
    if (gone) {
      ledger.ended(pod.metadata.uid);
      dirty();
    }
  }

  Duration pulling(const kube::Pod& pod) const {
    const auto timeline = agent->find_timeline(pod.metadata.ns, pod.metadata.name);
    return timeline ? pull_time(*timeline) : Duration(0);
  }

  Task<> wait_inputs() {
    co_await inputs_changed.async_wait(use_result);
    co_return Result<>();
  }

  kube::Client& client;
  const ClusterOptions options;
  std::mt19937_64 seeds;
  Agent* agent = nullptr;
  TokensRenewed renewed;
  NodeChanged node_changed;
  PodLedger ledger;
  const ApiCall call;  // of all but events, which have a limit of their own
  StatusManager statuses;
  TokenManager tokens;
  EventSender events;
  MirrorPods mirrors;
  ReferredObjects referred;
  kube::Watch<kube::Pod> pods;
  kube::Watch<kube::OwnNode> node;
  std::optional<kube::FolderSource> folder;
  asio::steady_timer inputs_changed;            // cancelled after each state that the agent is given
  std::optional<std::pair<Kind, int>> trouble;  // of the watches of pods and of the node
  ClusterStats counts{[this](const kube::Pod& pod) { return pulling(pod); }};
  bool left_out = false;
  bool told_soon = false;
  TaskGroup tasks;
};

Cluster::Cluster(kube::Client& client, ClusterOptions options)
    : state_(std::make_unique<State>(client, std::move(options))) {}
Cluster::~Cluster() = default;

Task<> Cluster::run(Agent& agent, PodRuntime& runtime, TokensRenewed renewed, NodeChanged node_changed) {
  State& s = *state_;
  s.agent = &agent;
  s.renewed = std::move(renewed);
  s.node_changed = std::move(node_changed);
  Loop& loop = s.client.loop();
  auto found = co_await runtime.list_pods();
  while (!found) {
    if (found.error().kind() == Kind::cancelled) {
      co_return std::unexpected(std::move(found).error());
    }
    KEELSON_CO_DO(co_await loop.sleep(kRuntimeWait));
    found = co_await runtime.list_pods();
  }
  std::set<std::string> uids;
  for (const auto& meta : *found) {
    uids.insert(meta.uid);
  }
  s.ledger.adopt(std::move(uids));
  agent.on_status([&s](const kube::Pod& pod, bool gone) { s.pod_changed(pod, gone); });
  for (const auto& event : agent.events().list("", "")) {
    s.events.send(event);  // what has happened before we were there
  }
  agent.events().on_event([&s](const kube::Event& event) { s.events.send(event); });
  if (!s.options.manifest_dir.empty()) {
    s.folder.emplace(loop, s.options.manifest_dir, [&s](kube::DesiredState state) {
      s.ledger.manifests(std::move(state), s.client.loop().clock().wall());
      s.dirty();
    });
    s.tasks.spawn("manifests", s.folder->run());
  }
  s.tasks.spawn("watch of pods", s.pods.run());
  s.tasks.spawn("watch of the node", s.node.run());
  while (true) {
    KEELSON_CO_DO(co_await loop.sleep(std::chrono::hours(24)));
  }
}

Task<> Cluster::close() {
  State& s = *state_;
  KEELSON_CO_DO(co_await s.tasks.close());
  KEELSON_CO_DO(co_await s.referred.close());
  KEELSON_CO_DO(co_await s.tokens.close());
  KEELSON_CO_DO(co_await s.mirrors.close());
  KEELSON_CO_DO(co_await s.events.close());
  co_return co_await s.statuses.close();
}

Task<TokenMap> Cluster::provide(kube::Pod pod) {
  using namespace asio::experimental::awaitable_operators;
  State& s = *state_;
  Loop& loop = s.client.loop();
  const auto static_pod = s.ledger.statics().find(kube::full_name(pod.metadata));
  if (static_pod != s.ledger.statics().end() && static_pod->second.metadata.uid == pod.metadata.uid) {
    co_return TokenMap();  // all that it may refer to is in the folder
  }
  const auto references = references_of(pod);
  const SteadyTime end = loop.clock().steady() + kInputsWait;
  while (!s.referred.synced(references) && loop.clock().steady() < end) {
    auto waited = co_await (loop.sleep(end - loop.clock().steady()) || s.wait_inputs());
    if (waited.index() == 0 && !std::get<0>(waited)) {
      co_return std::unexpected(std::get<0>(std::move(waited)).error());
    }
  }
  co_return co_await s.tokens.get(std::move(pod));
}

Result<> Cluster::check_environment(const kube::Pod& pod, const kube::Container& container) const {
  return is_static(pod) ? Result<>() : state_->referred.check_environment(environment_of(pod, container));
}

Task<ServiceAccount> Cluster::service_account(kube::Pod pod) {
  return state_->tokens.account(std::move(pod));
}

Task<std::string> Cluster::service_account_token(kube::Pod pod, std::string audience, std::string account_uid) {
  return state_->tokens.get_one(std::move(pod),
                                {.audience = std::move(audience), .account_uid = std::move(account_uid)});
}

void Cluster::pressed_by(const Pressures& pressures) {
  state_->ledger.pressed_by(pressures);
}

void Cluster::shutting_down(bool now) {
  state_->ledger.shutting_down(now);
}

void Cluster::allotted_are(std::set<std::string> resources) {
  state_->ledger.allotted_are(std::move(resources));
}

void Cluster::pod_refused(const std::string& reason) {
  state_->counts.rejected(reason);
}

void Cluster::collect(Stats& stats) const {
  state_->counts.collect(state_->ledger, stats);
  state_->statuses.collect(stats);
}

void Cluster::forget(const std::string& uid) {
  state_->tokens.forget(uid);
}

}  // namespace keelson::agent
