// SPDX-License-Identifier: Apache-2.0
// Field by field.
#include "cri/client/convert.h"

#include <charconv>

namespace keelson::cri {

namespace {

template <class Repeated>
void fill(Repeated* out, const std::vector<std::string>& in) {
  out->Assign(in.begin(), in.end());
}

template <class Map>
void fill(Map* out, const StringMap& in) {
  for (const auto& [key, value] : in) {
    (*out)[key] = value;
  }
}

template <class Map>
StringMap read_map(const Map& in) {
  StringMap out;
  for (const auto& [key, value] : in) {
    out[key] = value;
  }
  return out;
}

void fill(v1::IDMapping* out, const IdMapping& in) {
  out->set_container_id(in.container);
  out->set_host_id(in.host);
  out->set_length(in.length);
}

void fill(v1::NamespaceOption* out, const NamespaceOptions& in) {
  out->set_network(static_cast<v1::NamespaceMode>(in.network));
  out->set_pid(static_cast<v1::NamespaceMode>(in.pid));
  out->set_ipc(static_cast<v1::NamespaceMode>(in.ipc));
  out->set_target_id(in.target_id);
  out->mutable_userns_options()->set_mode(in.users ? v1::POD : v1::NODE);
  if (in.users) {
    fill(out->mutable_userns_options()->add_uids(), *in.users);
    fill(out->mutable_userns_options()->add_gids(), *in.users);
  }
}

void fill(v1::SecurityProfile* out, const SecurityProfile& in) {
  out->set_profile_type(static_cast<v1::SecurityProfile_ProfileType>(in.kind));
  out->set_localhost_ref(in.path);
}

void fill(v1::SELinuxOption* out, const SeLinuxOptions& in) {
  out->set_user(in.user);
  out->set_role(in.role);
  out->set_type(in.type);
  out->set_level(in.level);
}

/// What sandboxes and containers have in common.
template <class Proto, class Security>
void fill_security(Proto* out, const Security& in) {
  fill(out->mutable_namespace_options(), in.namespaces);
  out->set_privileged(in.privileged);
  out->set_readonly_rootfs(in.read_only_root);
  if (in.run_as_user) {
    out->mutable_run_as_user()->set_value(*in.run_as_user);
  }
  if (in.run_as_group) {
    out->mutable_run_as_group()->set_value(*in.run_as_group);
  }
  for (auto group : in.supplemental_groups) {
    out->add_supplemental_groups(group);
  }
  if (in.strict_groups) {
    out->set_supplemental_groups_policy(v1::Strict);
  }
  if (in.seccomp) {
    fill(out->mutable_seccomp(), *in.seccomp);
  }
  if (in.apparmor) {
    fill(out->mutable_apparmor(), *in.apparmor);
  }
  if (in.selinux) {
    fill(out->mutable_selinux_options(), *in.selinux);
  }
}

void fill(v1::Mount* out, const Mount& in) {
  out->set_container_path(in.container_path);
  out->set_host_path(in.host_path);
  out->set_readonly(in.read_only);
  out->set_selinux_relabel(in.selinux_relabel);
  out->set_propagation(static_cast<v1::MountPropagation>(in.propagation));
  out->set_recursive_read_only(in.recursive_read_only);
  if (in.users) {
    fill(out->add_uidmappings(), *in.users);
    fill(out->add_gidmappings(), *in.users);
  }
  if (!in.image.empty()) {
    out->mutable_image()->set_image(in.image);
    out->mutable_image()->set_user_specified_image(in.user_specified_image);
    out->set_image_sub_path(in.image_sub_path);
  }
}

PodIdentity read_identity(const v1::PodSandboxMetadata& in) {
  return {in.name(), in.uid(), in.namespace_(), in.attempt()};
}

}  // namespace

v1::LinuxContainerResources to_proto(const LinuxResources& in) {
  v1::LinuxContainerResources out;
  out.set_cpu_period(in.cpu_period);
  out.set_cpu_quota(in.cpu_quota);
  out.set_cpu_shares(in.cpu_shares);
  out.set_memory_limit_in_bytes(in.memory_limit_bytes);
  out.set_memory_swap_limit_in_bytes(in.memory_swap_limit_bytes);
  out.set_oom_score_adj(in.oom_score_adj);
  out.set_cpuset_cpus(in.cpuset_cpus);
  out.set_cpuset_mems(in.cpuset_mems);
  for (const auto& [size, limit] : in.hugepage_limits) {
    auto* page = out.add_hugepage_limits();
    page->set_page_size(size);
    uint64_t bytes = 0;
    std::from_chars(limit.data(), limit.data() + limit.size(), bytes);
    page->set_limit(bytes);
  }
  fill(out.mutable_unified(), in.unified);
  return out;
}

v1::PodSandboxConfig to_proto(const SandboxConfig& in) {
  v1::PodSandboxConfig out;
  out.mutable_metadata()->set_name(in.metadata.name);
  out.mutable_metadata()->set_uid(in.metadata.uid);
  out.mutable_metadata()->set_namespace_(in.metadata.ns);
  out.mutable_metadata()->set_attempt(in.metadata.attempt);
  out.set_hostname(in.hostname);
  out.set_log_directory(in.log_directory);
  fill(out.mutable_dns_config()->mutable_servers(), in.dns.servers);
  fill(out.mutable_dns_config()->mutable_searches(), in.dns.searches);
  fill(out.mutable_dns_config()->mutable_options(), in.dns.options);
  for (const auto& port : in.port_mappings) {
    auto* mapping = out.add_port_mappings();
    mapping->set_protocol(static_cast<v1::Protocol>(port.protocol));
    mapping->set_container_port(port.container_port);
    mapping->set_host_port(port.host_port);
    mapping->set_host_ip(port.host_ip);
  }
  fill(out.mutable_labels(), in.labels);
  fill(out.mutable_annotations(), in.annotations);
  auto* linux_config = out.mutable_linux();
  linux_config->set_cgroup_parent(in.cgroup_parent);
  fill(linux_config->mutable_sysctls(), in.sysctls);
  fill_security(linux_config->mutable_security_context(), in.security);
  *linux_config->mutable_overhead() = to_proto(in.overhead);
  *linux_config->mutable_resources() = to_proto(in.resources);
  return out;
}

v1::ContainerConfig to_proto(const ContainerConfig& in) {
  v1::ContainerConfig out;
  out.mutable_metadata()->set_name(in.name);
  out.mutable_metadata()->set_attempt(in.attempt);
  out.mutable_image()->set_image(in.image);
  out.mutable_image()->set_user_specified_image(in.user_specified_image);
  fill(out.mutable_command(), in.command);
  fill(out.mutable_args(), in.args);
  out.set_working_dir(in.working_dir);
  for (const auto& [key, value] : in.envs) {
    auto* env = out.add_envs();
    env->set_key(key);
    env->set_value(value);
  }
  for (const auto& mount : in.mounts) {
    fill(out.add_mounts(), mount);
  }
  for (const auto& name : in.cdi_devices) {
    out.add_cdi_devices()->set_name(name);
  }
  for (const auto& device : in.devices) {
    auto* added = out.add_devices();
    added->set_container_path(device.container_path);
    added->set_host_path(device.host_path);
    added->set_permissions(device.permissions);
  }
  fill(out.mutable_labels(), in.labels);
  fill(out.mutable_annotations(), in.annotations);
  out.set_log_path(in.log_path);
  out.set_stdin(in.stdin_open);
  out.set_stdin_once(in.stdin_once);
  out.set_tty(in.tty);
  auto* linux_config = out.mutable_linux();
  *linux_config->mutable_resources() = to_proto(in.resources);
  auto* security = linux_config->mutable_security_context();
  fill_security(security, in.security);
  fill(security->mutable_capabilities()->mutable_add_capabilities(), in.security.add_capabilities);
  fill(security->mutable_capabilities()->mutable_drop_capabilities(), in.security.drop_capabilities);
  security->set_run_as_username(in.security.run_as_username);
  security->set_no_new_privs(in.security.no_new_privs);
  fill(security->mutable_masked_paths(), in.security.masked_paths);
  fill(security->mutable_readonly_paths(), in.security.read_only_paths);
  return out;
}

v1::AuthConfig to_proto(const AuthConfig& in) {
  v1::AuthConfig out;
  out.set_username(in.username);
  out.set_password(in.password);
  out.set_auth(in.auth);
  out.set_server_address(in.server_address);
  out.set_identity_token(in.identity_token);
  out.set_registry_token(in.registry_token);
  return out;
}

SandboxStatus from_proto(const v1::PodSandboxStatus& in) {
  SandboxStatus out{in.id(), read_identity(in.metadata()), in.state() == v1::SANDBOX_READY, in.created_at(),
                    {},      read_map(in.labels()),        read_map(in.annotations()),      in.runtime_handler()};
  if (!in.network().ip().empty()) {
    out.ips.push_back(in.network().ip());
  }
  for (const auto& ip : in.network().additional_ips()) {
    out.ips.push_back(ip.ip());
  }
  return out;
}

SandboxStatus from_proto(const v1::PodSandbox& in) {
  return {in.id(), read_identity(in.metadata()), in.state() == v1::SANDBOX_READY, in.created_at(),
          {},      read_map(in.labels()),        read_map(in.annotations()),      in.runtime_handler()};
}

namespace {

LinuxResources read_resources(const v1::LinuxContainerResources& in) {
  LinuxResources out;
  out.cpu_period = in.cpu_period();
  out.cpu_quota = in.cpu_quota();
  out.cpu_shares = in.cpu_shares();
  out.cpuset_cpus = in.cpuset_cpus();
  out.cpuset_mems = in.cpuset_mems();
  out.memory_limit_bytes = in.memory_limit_in_bytes();
  out.memory_swap_limit_bytes = in.memory_swap_limit_in_bytes();
  out.oom_score_adj = in.oom_score_adj();
  return out;
}

LinuxContainerUser read_user(const v1::LinuxContainerUser& in) {
  return {in.uid(), in.gid(), {in.supplemental_groups().begin(), in.supplemental_groups().end()}};
}

}  // namespace

ContainerStatus from_proto(const v1::ContainerStatus& in) {
  ContainerStatus out;
  out.id = in.id();
  out.name = in.metadata().name();
  out.attempt = in.metadata().attempt();
  out.state = static_cast<ContainerState>(in.state());
  out.created_at = in.created_at();
  out.started_at = in.started_at();
  out.finished_at = in.finished_at();
  out.exit_code = in.exit_code();
  out.image = in.image().image();
  out.image_ref = in.image_ref();
  out.image_id = in.image_id();
  out.reason = in.reason();
  out.message = in.message();
  out.labels = read_map(in.labels());
  out.annotations = read_map(in.annotations());
  out.log_path = in.log_path();
  for (const auto& mount : in.mounts()) {
    Mount& read = out.mounts.emplace_back();
    read.container_path = mount.container_path();
    read.host_path = mount.host_path();
    read.read_only = mount.readonly();
    read.recursive_read_only = mount.recursive_read_only();
    read.image = mount.image().image();
    read.user_specified_image = mount.image().user_specified_image();
    read.image_sub_path = mount.image_sub_path();
  }
  if (in.resources().has_linux()) {
    out.resources = read_resources(in.resources().linux());
  }
  if (in.user().has_linux()) {
    out.user = read_user(in.user().linux());
  }
  return out;
}

ContainerStatus from_proto(const v1::Container& in) {
  ContainerStatus out;
  out.id = in.id();
  out.sandbox_id = in.pod_sandbox_id();
  out.name = in.metadata().name();
  out.attempt = in.metadata().attempt();
  out.state = static_cast<ContainerState>(in.state());
  out.created_at = in.created_at();
  out.image = in.image().image();
  out.image_ref = in.image_ref();
  out.image_id = in.image_id();
  out.labels = read_map(in.labels());
  out.annotations = read_map(in.annotations());
  return out;
}

Image from_proto(const v1::Image& in) {
  Image out;
  out.id = in.id();
  out.repo_tags.assign(in.repo_tags().begin(), in.repo_tags().end());
  out.repo_digests.assign(in.repo_digests().begin(), in.repo_digests().end());
  out.size = in.size();
  if (in.has_uid()) {
    out.uid = in.uid().value();
  }
  out.username = in.username();
  out.pinned = in.pinned();
  return out;
}

}  // namespace keelson::cri
