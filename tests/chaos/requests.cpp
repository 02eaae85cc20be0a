// SPDX-License-Identifier: Apache-2.0
// requests.h.
#include "tests/chaos/requests.h"

#include <fmt/format.h>

#include <algorithm>

namespace keelson::chaos {

namespace {

using Words = std::vector<std::string>;

const std::vector<Words> kCommands = {
    {"sleep", "1000"},
    {"sleep", "1000"},
    {"true"},
    {"sh", "-c", "exit 3"},
    {"sleep", "0.2"},
    {"sh", "-c", "sleep 1000 & sleep 1000 & exec sleep 1000"},
    {"sh", "-c", "head -c 200000 /dev/zero; sleep 1000"},
    {"sh", "-c", "trap '' TERM; while true; do sleep 0.1; done"},
    {"sh", "-c", "sleep 1000 & exit 0"},
    {"no-such-program"},
    {"/"},
    {"cat"},
};

void map_ids(v1::IDMapping* mapping, uint32_t host) {
  mapping->set_host_id(host);
  mapping->set_length(65536);
}

void spoil(Dice& dice, v1::PodSandboxConfig& config) {
  switch (dice.roll(7)) {
    case 5: {
      auto* users =
          config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->mutable_userns_options();
      map_ids(users->add_uids(), static_cast<uint32_t>(dice.roll(3)) - 1);
      users->set_mode(dice.chance(50) ? v1::POD : v1::CONTAINER);
      break;
    }
    case 0:
      config.clear_metadata();
      break;
    case 1:
      (*config.mutable_linux()->mutable_sysctls())[dice.chance(50) ? "kernel.no_such" : "net.ipv4.no_such"] = "1";
      break;
    case 2:
      config.mutable_metadata()->clear_name();
      break;
    case 3:
      config.set_hostname(std::string(300, 'h'));
      break;
    case 4:
      config.mutable_linux()->set_cgroup_parent(config.linux().cgroup_parent() + "/../../../escape");
      break;
    default:
      config.set_log_directory("/proc/nowhere/logs");
  }
}

void spoil(Dice& dice, v1::ContainerConfig& config) {
  switch (dice.roll(10)) {
    case 0:
      config.mutable_image()->set_image("keelson.example/none:1");
      break;
    case 1:
      config.clear_metadata();
      break;
    case 2:
      config.set_log_path("../../escape.log");
      break;
    case 3:
      config.mutable_linux()->mutable_security_context()->set_run_as_username("nobody-there");
      break;
    case 4: {
      auto* seccomp = config.mutable_linux()->mutable_security_context()->mutable_seccomp();
      seccomp->set_profile_type(v1::SecurityProfile::Localhost);
      seccomp->set_localhost_ref("/no/such/profile.json");
      break;
    }
    case 5: {
      auto* mount = config.add_mounts();
      mount->set_container_path(dice.chance(50) ? "" : "/dev/null/x");
      mount->set_host_path("/etc/hostname");
      break;
    }
    case 6:
      config.mutable_linux()->mutable_resources()->set_memory_limit_in_bytes(1);
      break;
    case 7:
      config.mutable_linux()->mutable_security_context()->mutable_capabilities()->add_add_capabilities("NO_SUCH");
      break;
    case 8:
      config.set_working_dir("/etc/passwd");
      break;
    default:
      config.add_devices()->set_host_path("/dev/no-such");
  }
}

}  // namespace

void KnownIds::add(const std::string& id) {
  std::lock_guard lock(mutex_);
  if (std::ranges::find(ids_, id) == ids_.end()) {
    ids_.push_back(id);
  }
}

void KnownIds::remove(const std::string& id) {
  std::lock_guard lock(mutex_);
  std::erase(ids_, id);
}

size_t KnownIds::size() const {
  std::lock_guard lock(mutex_);
  return ids_.size();
}

std::string KnownIds::pick(Dice& dice) const {
  std::lock_guard lock(mutex_);
  if (!ids_.empty() && !dice.chance(8)) {
    auto id = dice.one_of(ids_);
    return dice.chance(3) ? id.substr(0, 13) : id;
  }
  static const Words kNone = {"", "x", "../../etc", "/", std::string(64, '0'), std::string(20000, 'a'), "a b\n%s"};
  return dice.one_of(kNone);
}

v1::LinuxContainerResources random_resources(Dice& dice) {
  v1::LinuxContainerResources out;
  if (dice.chance(50)) {
    out.set_cpu_shares(2 + dice.roll(2000));
  }
  if (dice.chance(30)) {
    out.set_cpu_period(100000);
    out.set_cpu_quota(dice.chance(10) ? 5 : 10000 + dice.roll(100000));
  }
  if (dice.chance(30)) {
    out.set_memory_limit_in_bytes((dice.chance(10) ? 1 : 32 + dice.roll(64)) * int64_t{1 << 20});
  }
  if (dice.chance(5)) {
    out.set_cpuset_cpus("999");
  }
  return out;
}

v1::RunPodSandboxRequest random_sandbox(Dice& dice, const Node& node) {
  v1::RunPodSandboxRequest out;
  auto& config = *out.mutable_config();
  const auto name = fmt::format("pod-{}", dice.roll(24));  // few names, so that they meet
  config.mutable_metadata()->set_name(name);
  config.mutable_metadata()->set_uid("uid-" + name);
  config.mutable_metadata()->set_namespace_("chaos");
  config.mutable_metadata()->set_attempt(static_cast<uint32_t>(dice.roll(3)));
  config.set_hostname(name);
  config.set_log_directory(node.home() + "/logs/" + name);
  config.mutable_linux()->set_cgroup_parent(node.cgroup() + (dice.chance(50) ? "/" + name : ""));
  auto* options = config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
  options->set_pid(dice.chance(70) ? v1::CONTAINER : v1::POD);
  if (dice.chance(15)) {
    options->set_network(v1::NODE);
    (*config.mutable_labels())["network"] = "node";
    config.set_hostname("");
  } else if (dice.chance(30)) {
    const auto host = static_cast<uint32_t>(1 + dice.roll(60000)) * 65536;
    map_ids(options->mutable_userns_options()->add_uids(), host);
    map_ids(options->mutable_userns_options()->add_gids(), host);
  }
  if (node.has_runc() && dice.chance(10)) {
    out.set_runtime_handler("runc");
    options->clear_userns_options();
  }
  if (dice.chance(20)) {
    (*config.mutable_linux()->mutable_sysctls())["net.ipv4.ip_unprivileged_port_start"] = "80";
  }
  if (dice.chance(3)) {
    out.set_runtime_handler("no-such-handler");
  }
  if (dice.chance(20)) {
    spoil(dice, config);
  }
  return out;
}

v1::CreateContainerRequest random_container(Dice& dice, const Node& node, const std::string& sandbox,
                                            const v1::PodSandboxConfig& sandbox_config) {
  v1::CreateContainerRequest out;
  out.set_pod_sandbox_id(sandbox);
  *out.mutable_sandbox_config() = sandbox_config;
  auto& config = *out.mutable_config();
  const auto name = fmt::format("c{}", dice.roll(4));
  config.mutable_metadata()->set_name(name);
  config.mutable_metadata()->set_attempt(static_cast<uint32_t>(dice.roll(3)));
  config.mutable_image()->set_image("keelson.example/busybox:1");
  for (const auto& word : dice.one_of(kCommands)) {
    config.add_command(word);
  }
  config.set_log_path(name + ".log");
  config.set_tty(dice.chance(10));
  config.set_stdin(dice.chance(20));
  config.set_stdin_once(dice.chance(10));
  *config.mutable_linux()->mutable_resources() = random_resources(dice);
  auto* security = config.mutable_linux()->mutable_security_context();
  security->mutable_namespace_options()->set_pid(sandbox_config.linux().security_context().namespace_options().pid());
  security->mutable_namespace_options()->set_network(
      sandbox_config.linux().security_context().namespace_options().network());
  security->set_readonly_rootfs(dice.chance(10));
  if (dice.chance(20)) {
    security->mutable_run_as_user()->set_value(1000);
  }
  if (dice.chance(20)) {
    auto* mount = config.add_mounts();
    mount->set_container_path("/data");
    mount->set_host_path(node.home() + "/volumes/" + name);
    mount->set_readonly(dice.chance(50));
    const auto& users = sandbox_config.linux().security_context().namespace_options().userns_options();
    if (dice.chance(80)) {
      *mount->mutable_uidmappings() = users.uids();
      *mount->mutable_gidmappings() = users.gids();
    }
  }
  if (dice.chance(20)) {
    spoil(dice, config);
  }
  return out;
}

}  // namespace keelson::chaos
