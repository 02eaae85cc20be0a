// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/node.h"

#include <fmt/format.h>

namespace keelson::simulation {

namespace {

class Sources : public agent::NodeSources {
 public:
  Task<agent::Machine> machine() override {
    agent::Machine seen;
    seen.architecture = "amd64";
    seen.cpus = 8;
    seen.memory = seen.memory_available = int64_t{16} << 30;
    seen.storage = seen.storage_available = int64_t{100} << 30;
    seen.boot_id = "boot-1";
    co_return seen;
  }
  Task<std::vector<std::string>> addresses() override { co_return std::vector<std::string>{"10.0.0.1"}; }
  Task<cri::RuntimeStatus> runtime_status() override {
    cri::RuntimeStatus status;
    status.conditions = {{"RuntimeReady", true, "", ""}, {"NetworkReady", true, "", ""}};
    co_return status;
  }
  Task<cri::RuntimeVersion> runtime_version() override { co_return cri::RuntimeVersion{"keelson", "0.1.0", "v1"}; }
  Task<std::vector<cri::Image>> images() override { co_return std::vector<cri::Image>(); }
};

kube::ClusterAccess access() {
  kube::ClusterAccess access;
  access.server = {.host = "api", .port = 6443};
  access.credentials = std::make_shared<kube::Credentials>(kube::CredentialSource{.token = "t"});
  return access;
}

agent::LeaseOptions lease_options(uint64_t seed) {
  agent::LeaseOptions options;
  options.node = kNodeName;
  options.seed = seed;
  return options;
}

agent::RegistrarOptions registrar_options(uint64_t seed) {
  agent::RegistrarOptions options;
  options.settings.name = kNodeName;
  options.seed = seed;
  return options;
}

}  // namespace

// ---- The runtime

const std::string& Runtime::owner(const std::string& container_id) const {
  static const std::string kNobody;
  const auto it = owners_.find(container_id);
  return it == owners_.end() ? kNobody : it->second;
}

bool Runtime::runs(const std::string& uid) const {
  return std::ranges::any_of(containers, [&](const auto& entry) {
    return entry.second.state == agent::RunState::running && owner(entry.first) == uid;
  });
}

Task<> Runtime::prepare(kube::Pod pod) {
  if (inputs == nullptr) {
    co_return fail(Kind::unavailable, "no agent");
  }
  KEELSON_CO_DO(co_await inputs->provide(pod));
  co_return co_await SmallWorld::prepare(std::move(pod));
}

Task<> Runtime::clean_up(kube::Pod pod) {
  over_.insert(pod.metadata.uid);
  if (inputs != nullptr) {
    inputs->forget(pod.metadata.uid);
  }
  co_return co_await SmallWorld::clean_up(std::move(pod));
}

Task<std::string> Runtime::create_sandbox(kube::Pod pod, uint32_t attempt) {
  if (over_.contains(pod.metadata.uid)) {
    auditor_.wrong(fmt::format("pod {} ({}) comes back after its end", full_name(pod.metadata), pod.metadata.uid));
  }
  for (const auto& [id, sandbox] : sandboxes) {
    if (sandbox.seen.ready && sandbox.pod.uid != pod.metadata.uid &&
        full_name(sandbox.pod) == full_name(pod.metadata)) {
      auditor_.wrong(
          fmt::format("pod {} starts as {} while {} runs", full_name(pod.metadata), pod.metadata.uid, sandbox.pod.uid));
    }
  }
  co_return co_await SmallWorld::create_sandbox(std::move(pod), attempt);
}

Task<std::string> Runtime::create_container(agent::ContainerOrder order) {
  const auto uid = order.pod.metadata.uid;
  if (const auto* container = kube::find_container(order.pod.spec, order.name); inputs != nullptr) {
    KEELSON_CO_DO(inputs->check_environment(order.pod, *container));
  }
  KEELSON_CO_TRY(const auto id, co_await SmallWorld::create_container(std::move(order)));
  owners_[id] = uid;
  co_return id;
}

// ---- The node

/// All that a kill of the daemon takes away.
struct Node::Life {
  Life(Loop& l, ControlPlane& plane, Runtime& runtime, agent::NodeSources& sources, uint64_t seed,
       const std::string& manifests)
      : loop(l),
        pods_client(l, access(), {}, plane.connect()),
        lease_client(l, access(), {}, plane.connect()),
        node_client(l, access(), {}, plane.connect()),
        cluster(pods_client, {.node_name = kNodeName,
                              .manifest_dir = manifests,
                              .allocatable = {{"pods", *kube::Quantity::parse("40")}},
                              .seed = seed}),
        agent(std::make_unique<agent::Agent>(
            l, agent::AgentOptions{.node_name = kNodeName, .node = {.ips = {"10.0.0.1"}}}, runtime)),
        lease_api(lease_client),
        node_api(node_client),
        lease(l, lease_api, lease_options(seed + 1)),
        registrar(l, node_api, sources, registrar_options(seed + 2)),
        tasks(l) {
    runtime.new_agent();
    runtime.inputs = &cluster;
    runtime.changed = [this](const std::string& uid) { agent->runtime_changed(uid); };
    tasks.spawn("cluster",
                cluster.run(*agent, runtime, [](const std::string&, agent::TokenMap) {}, [](const kube::Node&) {}));
    tasks.spawn("agent", agent->run());
    tasks.spawn("lease", lease.run());
    tasks.spawn("registrar", registrar.run());
  }

  Task<> close() {
    KEELSON_CO_DO(co_await agent->stop(false));
    KEELSON_CO_DO(co_await tasks.close());
    KEELSON_CO_DO(co_await cluster.close());
    KEELSON_CO_DO(co_await pods_client.close());
    KEELSON_CO_DO(co_await lease_client.close());
    co_return co_await node_client.close();
  }

  Loop& loop;
  kube::Client pods_client;
  kube::Client lease_client;
  kube::Client node_client;
  agent::Cluster cluster;
  std::unique_ptr<agent::Agent> agent;
  agent::ClientApi lease_api;
  agent::ClientApi node_api;
  agent::LeaseRenewer lease;
  agent::NodeRegistrar registrar;
  TaskGroup tasks;
};

Node::Node(Loop& loop, ControlPlane& plane, Runtime& runtime, uint64_t seed, std::string manifests)
    : loop_(loop),
      plane_(plane),
      runtime_(runtime),
      seed_(seed),
      manifests_(std::move(manifests)),
      sources_(std::make_unique<Sources>()) {
  start();
}

Node::~Node() {
  end();
}

agent::Agent& Node::agent() {
  return *life_->agent;
}

void Node::start() {
  seed_ += 10;
  life_ = std::make_unique<Life>(loop_, plane_, runtime_, *sources_, seed_, manifests_);
}

void Node::end() {
  runtime_.changed = [](const std::string&) {};
  runtime_.inputs = nullptr;
  TaskGroup closing(loop_);
  closing.spawn("close", life_->close());
  for (int turns = 0; turns < 100 && closing.count() > 0; ++turns) {
    loop_.run_until_idle();
  }
  life_.reset();
  loop_.run_until_idle();
}

void Node::restart() {
  end();
  start();
}

}  // namespace keelson::simulation
