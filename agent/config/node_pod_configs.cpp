// SPDX-License-Identifier: Apache-2.0
// The parts of config/ put together.
#include "agent/config/node_pod_configs.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "agent/config/handler_features.h"
#include "agent/config/image_auth.h"
#include "agent/config/node_pod_configs_state.h"
#include "agent/config/pod_warnings.h"
#include "agent/config/security.h"
#include "agent/critical_pod.h"
#include "common/atomic_file.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/process.h"
#include "common/sysctl_name.h"
#include "cri/image/reference.h"

namespace keelson::agent {

namespace fs = std::filesystem;

namespace {

/// One that the container may have had is taken away.
constexpr int64_t kNoQuota = -1;

std::string host_text(const std::string& path) {
  return read_file(path).value_or("");
}

/// The usual file may be missing; one that was asked for may not.
Result<std::string> resolv_conf_of(const PodConfigOptions& options) {
  const auto& path = options.resolv_conf;
  if (path.empty() || path == PodConfigOptions().resolv_conf) {
    return path.empty() ? "" : host_text(path);
  }
  return read_file(path).context("resolvConf");
}

}  // namespace

NodePodConfigs::NodePodConfigs(Loop& loop, PodConfigOptions options, PodInputs* inputs, PodStorage* storage)
    : state_(std::make_unique<State>(loop, std::move(options), inputs, storage)) {}
NodePodConfigs::~NodePodConfigs() = default;

void NodePodConfigs::objects_changed(const kube::DesiredState& state) {
  auto& s = *state_;
  bool same = s.objects->config_maps == state.config_maps && s.objects->secrets == state.secrets &&
              s.objects->services == state.services && s.objects->runtime_classes == state.runtime_classes;
  auto copy = std::make_shared<kube::DesiredState>();
  copy->config_maps = state.config_maps;
  copy->secrets = state.secrets;
  copy->services = state.services;
  copy->runtime_classes = state.runtime_classes;
  s.objects = std::move(copy);
  for (auto& [uid, pod] : s.pods) {
    auto now = state.pods.find(kube::full_name(pod.metadata));
    const bool known = now != state.pods.end() && now->second.metadata.uid == uid;
    if (known && is_final(now->second.status.phase)) {
      continue;  // what it refers to may have gone, and nobody reads it
    }
    const bool renamed = known && (now->second.metadata.labels != pod.metadata.labels ||
                                   now->second.metadata.annotations != pod.metadata.annotations);
    if (renamed) {
      pod.metadata.labels = now->second.metadata.labels;
      pod.metadata.annotations = now->second.metadata.annotations;
    }
    if (renamed || !same) {
      s.refresh_volumes(pod);
    }
  }
}

void NodePodConfigs::node_ips_are(std::vector<std::string> ips) {
  auto facts = *state_->node;
  facts.ips = std::move(ips);
  state_->node = std::make_shared<const NodeFacts>(std::move(facts));
}

void NodePodConfigs::tokens_changed(const std::string& uid, TokenMap tokens) {
  auto& s = *state_;
  if (!s.tokens.contains(uid)) {
    return;
  }
  s.tokens[uid] = std::make_shared<const TokenMap>(std::move(tokens));
  if (auto pod = s.pods.find(uid); pod != s.pods.end()) {
    s.refresh_volumes(pod->second);
  }
}

Result<std::vector<std::string>> NodePodConfigs::prepared() {
  return state_->volumes.list();
}

/// Of a manifest that the folder, or the API, has no class for, the name is the handler's.
Result<std::string> NodePodConfigs::handler(const kube::Pod& pod) {
  const auto& name = pod.spec.runtime_class_name;
  if (!name || name->empty()) {
    return "";
  }
  const auto& classes = state_->objects->runtime_classes;
  if (const auto found = classes.find(*name); found != classes.end()) {
    return found->second.handler;
  }
  if (state_->inputs == nullptr || is_static(pod)) {
    return *name;
  }
  return fail(Kind::not_found, "failed to get sandbox runtime: runtimeclass.node.k8s.io \"{}\" not found", *name);
}

/// A folder's pods know of no cluster's DNS.
std::vector<PodWarning> NodePodConfigs::warnings(const kube::Pod& pod) {
  const auto& dns = state_->options.dns;
  auto found = pod_warnings(pod, *state_->objects, state_->inputs != nullptr ? &dns : nullptr);
  for (auto& warning : dns_warnings(pod, dns, resolv_conf_of(state_->options).value_or(""))) {
    found.push_back(std::move(warning));
  }
  return found;
}

Result<cri::SandboxConfig> NodePodConfigs::sandbox(const kube::Pod& pod, uint32_t) {
  const auto& o = state_->options;
  cri::SandboxConfig out;
  if (!pod.spec.host_network) {
    KEELSON_TRY(out.hostname, make_hostname(pod, o.dns));
  }
  out.log_directory = log_dir_of(o, pod.metadata);
  KEELSON_TRY(const auto own_dns, resolv_conf_of(o));
  out.dns = make_dns(pod, o.dns, own_dns);
  out.annotations = pod.metadata.annotations;
  out.cgroup_parent = state_->cgroups.parent_of(pod);
  out.security = sandbox_security(pod);
  KEELSON_TRY(out.security.namespaces.users, state_->users_of(pod));
  for (const auto& sysctl : pod.spec.security_context.sysctls) {
    out.sysctls[sysctl_with_dots(sysctl.name)] = sysctl.value;
  }
  out.resources = sandbox_resources(pod, state_->node_cgroups);
  if (!state_->own_cpus_of(pod).empty()) {
    out.resources.cpu_quota = kNoQuota;
  }
  out.overhead = overhead_resources(pod, state_->node_cgroups);
  for (const auto& container : pod.spec.containers) {
    for (const auto& port : container.ports) {
      out.port_mappings.push_back(
          {static_cast<cri::Protocol>(port.protocol), port.container_port, port.host_port, port.host_ip});
    }
  }
  return out;
}

Result<std::optional<cri::IdMapping>> NodePodConfigs::State::users_of(const kube::Pod& pod) const {
  if (pod.spec.host_users.value_or(true)) {
    return std::nullopt;
  }
  const auto first = users.of(pod.metadata.uid);
  if (!first) {
    return fail(Kind::conflict, "the pod has no range of user ids yet");
  }
  return cri::IdMapping{.container = 0, .host = *first, .length = users.length()};
}

/// /etc/hosts and the termination message, unless the pod mounts its own.
Result<> NodePodConfigs::State::add_files(const ContainerOrder& order, const kube::Container& container,
                                          cri::ContainerConfig& out) const {
  const auto& uid = order.pod.metadata.uid;
  auto mounts = [&](const std::string& path) {
    return std::any_of(out.mounts.begin(), out.mounts.end(),
                       [&](const cri::Mount& m) { return m.container_path == path; });
  };
  if (!mounts("/etc/hosts")) {
    auto text =
        make_hosts(order.pod, order.pod_ips, options.dns, order.pod.spec.host_network ? host_text("/etc/hosts") : "");
    KEELSON_DO(write_file_atomic(volumes.hosts_file(uid), text, 0644));
    out.mounts.push_back(
        {.container_path = "/etc/hosts", .host_path = volumes.hosts_file(uid), .selinux_relabel = options.selinux});
  }
  if (!container.termination_message_path.empty() && !mounts(container.termination_message_path)) {
    auto file = message_file(uid, container.name, order.attempt);
    KEELSON_DO(make_directories(container_dir(uid, container.name), 0750));
    KEELSON_TRY(auto fd, open_file(file, O_WRONLY | O_CREAT | O_TRUNC, 0666));
    // Whoever the container runs as may write it.
    if (::fchmod(fd.get(), 0666) < 0) {
      return fail_errno(errno, "set the mode of {}", file);
    }
    out.mounts.push_back(
        {.container_path = container.termination_message_path, .host_path = file, .selinux_relabel = options.selinux});
  }
  return {};
}

Task<> NodePodConfigs::prepare_container(kube::Pod pod, std::string container) {
  for (auto* allotter : state_->allotters) {
    KEELSON_CO_DO(co_await allotter->prepare_container(pod, container));
  }
  co_return Result<>();
}

std::set<std::string> NodePodConfigs::own_cpus(const kube::Pod& pod) {
  return state_->own_cpus_of(pod);
}

std::set<std::string> NodePodConfigs::State::own_cpus_of(const kube::Pod& pod) const {
  std::set<std::string> names;
  for (const auto* allotter : allotters) {
    for (const auto* list : {&pod.spec.init_containers, &pod.spec.containers}) {
      for (const auto& container : *list) {
        if (allotter->of(pod, container.name).own_cpus) {
          names.insert(container.name);
        }
      }
    }
  }
  return names;
}

/// Nothing but the pod's own CPUs holds it, if it has some.
PodCgroupLimits NodePodConfigs::State::limits_of_pod(const kube::Pod& pod) const {
  auto limits = pod_limits_of(pod, node_cgroups);
  if (!own_cpus_of(pod).empty()) {
    limits.cpu_quota = 0;
  }
  return limits;
}

cri::LinuxResources NodePodConfigs::State::resources_of(const kube::Pod& pod, const kube::Container& container) const {
  auto out = container_resources(pod, container, node_cgroups);
  for (const auto* allotter : allotters) {
    const auto given = allotter->of(pod, container.name);
    if (!given.cpus.empty()) {
      out.cpuset_cpus = given.cpus;
    }
    if (given.own_cpus) {
      out.cpu_quota = kNoQuota;
    }
  }
  return out;
}

/// Before the spec's own, which win.
void NodePodConfigs::State::add_allotments(const kube::Pod& pod, const kube::Container& container,
                                           cri::ContainerConfig& out) const {
  for (const auto* allotter : allotters) {
    auto given = allotter->of(pod, container.name);
    std::ranges::move(given.envs, std::back_inserter(out.envs));
    std::ranges::move(given.mounts, std::back_inserter(out.mounts));
    std::ranges::move(given.devices, std::back_inserter(out.devices));
    std::ranges::move(given.cdi_devices, std::back_inserter(out.cdi_devices));
    out.annotations.merge(given.annotations);
  }
}

Result<cri::ContainerConfig> NodePodConfigs::container(const ContainerOrder& order) {
  auto& s = *state_;
  const auto& pod = order.pod;
  const auto* container = kube::find_container(pod.spec, order.name);
  if (container == nullptr) {
    return fail(Kind::invalid, "container {} is not in the pod's spec", order.name);
  }
  s.addresses[pod.metadata.uid] = order.pod_ips;
  if (s.inputs != nullptr) {
    KEELSON_DO(s.inputs->check_environment(pod, *container));
  }
  cri::ContainerConfig out;
  s.add_allotments(pod, *container, out);
  KEELSON_TRY(const auto environment, make_environment(pod, *container, *s.objects, order.pod_ips, *s.node));
  const std::map<std::string, std::string> variables(environment.begin(), environment.end());
  std::ranges::copy(environment, std::back_inserter(out.envs));
  for (const auto& word : container->command) {
    out.command.push_back(expand(word, variables));
  }
  for (const auto& word : container->args) {
    out.args.push_back(expand(word, variables));
  }
  out.working_dir = container->working_dir;
  KEELSON_DO(s.add_mounts(order, *container, environment, out));
  KEELSON_DO(s.add_devices(pod, *container, out));
  KEELSON_DO(s.add_files(order, *container, out));
  out.log_path = fmt::format("{}/{}.log", container->name, order.attempt);
  KEELSON_DO(make_directories(fmt::format("{}/{}", log_dir_of(s.options, pod.metadata), container->name)));
  out.stdin_open = container->stdin_open;
  out.stdin_once = container->stdin_once;
  out.tty = container->tty;
  out.resources = s.resources_of(pod, *container);
  const SeccompRules seccomp{.by_default = s.options.seccomp_default, .folders = s.seccomp_folders};
  KEELSON_TRY(out.security, container_security(pod, *container, order.image_user, seccomp));
  if (!order.target_id.empty()) {
    out.security.namespaces.pid = cri::Namespace::target;
    out.security.namespaces.target_id = order.target_id;
  }
  KEELSON_TRY(out.security.namespaces.users, s.users_of(pod));
  for (auto& mount : out.mounts) {
    mount.users = out.security.namespaces.users;
  }
  return out;
}

Result<cri::LinuxResources> NodePodConfigs::resources(const kube::Pod& pod, const std::string& name) {
  const auto* container = kube::find_container(pod.spec, name);
  if (container == nullptr) {
    return fail(Kind::invalid, "container {} is not in the pod's spec", name);
  }
  return state_->resources_of(pod, *container);
}

void NodePodConfigs::container_created(const ContainerOrder& order, const std::string& id) {
  auto& s = *state_;
  const auto& pod = order.pod.metadata;
  auto log = fmt::format("{}/{}/{}.log", log_dir_of(s.options, pod), order.name, order.attempt);
  if (auto linked = s.links.add(pod, order.name, id, log); !linked) {
    log::warning("pod {}: {}", kube::full_name(pod), linked.error().message());
  }
}

void NodePodConfigs::container_removed(const std::string& id) {
  state_->links.remove_container(id);
}

std::string NodePodConfigs::termination_log(const kube::ObjectMeta& pod, const std::string& container,
                                            uint32_t attempt) {
  auto file = state_->message_file(pod.uid, container, attempt);
  return ::access(file.c_str(), R_OK) == 0 ? file : "";
}

Task<std::vector<cri::AuthConfig>> NodePodConfigs::credentials(kube::Pod pod, std::string image) {
  auto& s = *state_;
  auto found = find_credentials(pod, *s.objects, image);
  auto read = [files = s.options.login_files] { return Result<std::vector<LoginDocument>>(read_logins(files)); };
  KEELSON_CO_TRY(auto documents, co_await blocking(s.pool, read));
  std::ranges::move(find_logins(documents, image), std::back_inserter(found));
  const auto name = cri::image::parse_reference(image);
  if (s.plugins && name) {
    KEELSON_CO_TRY(auto answers, co_await s.plugins->logins(pod, name->name()));
    documents.clear();
    for (auto& answer : answers) {
      documents.push_back({std::move(answer), false});
    }
    std::ranges::move(find_logins(documents, image), std::back_inserter(found));
  }
  co_return found;
}

void NodePodConfigs::use_credential_providers(CredentialProviders providers, std::string folder) {
  auto run = [pool = &state_->programs](Command command) -> Task<CommandOutput> {
    return blocking(*pool, [command = std::move(command)] { return run_command(command); });
  };
  state_->plugins.emplace(state_->loop, std::move(providers), std::move(folder), std::move(run), state_->inputs);
}

void NodePodConfigs::use_allotters(std::vector<Allotter*> allotters, PodRefused refused) {
  state_->allotters = std::move(allotters);
  state_->refused = std::move(refused);
}

MountedVolumes NodePodConfigs::mounted(const std::string& uid) const {
  const auto found = state_->mounted.find(uid);
  return found != state_->mounted.end() ? found->second : MountedVolumes();
}

Result<> NodePodConfigs::make_roots() {
  return state_->cgroups.create_root();
}

Task<> NodePodConfigs::limit_all(cgroup::Limits limits) {
  auto* s = state_.get();
  co_return co_await blocking(s->pool,
                              [s, limits = std::move(limits)]() -> Result<> { return s->cgroups.limit_all(limits); });
}

Result<> NodePodConfigs::limit_other(const std::string& cgroup, const cgroup::Limits& limits) {
  return state_->cgroups.limit_other(cgroup, limits);
}

void NodePodConfigs::remove_empty_roots() {
  state_->cgroups.remove_root();
}

void NodePodConfigs::collect(Stats& stats) const {
  state_->cgroups.collect(stats);
  state_->options.volume_stats->collect(stats);
  if (state_->plugins) {
    state_->plugins->collect(stats);
  }
}

}  // namespace keelson::agent
