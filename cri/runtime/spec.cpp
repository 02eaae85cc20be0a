// SPDX-License-Identifier: Apache-2.0
// spec.h: the process and the frame around it.
#include "cri/runtime/spec.h"

#include <algorithm>

namespace keelson::cri {

namespace v1 = ::runtime::v1;

namespace {

constexpr std::string_view kPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

shim::NamespaceMode mode_of(v1::NamespaceMode mode) {
  switch (mode) {
    case v1::POD:
      return shim::NamespaceMode::pod;
    case v1::NODE:
      return shim::NamespaceMode::node;
    case v1::TARGET:
      return shim::NamespaceMode::target;
    default:
      return shim::NamespaceMode::container;
  }
}

/// POD is whatever the sandbox has.
shim::NamespaceMode pid_of(const SpecInput& input) {
  const auto own = mode_of(input.config.linux().security_context().namespace_options().pid());
  const auto pods = mode_of(input.sandbox.linux().security_context().namespace_options().pid());
  return own == shim::NamespaceMode::pod ? pods : own;
}

}  // namespace

void set_env(std::vector<std::string>& env, std::string entry) {
  const auto name = entry.substr(0, entry.find('=') + 1);
  const auto found = std::ranges::find_if(env, [&](const auto& old) { return old.starts_with(name); });
  if (found != env.end()) {
    *found = std::move(entry);
  } else {
    env.push_back(std::move(entry));
  }
}

Result<std::vector<std::string>> process_args(const v1::ContainerConfig& config, const ImageDefaults& image) {
  std::vector<std::string> args(config.command().begin(), config.command().end());
  if (args.empty()) {
    args = image.entrypoint;
  }
  if (config.args_size() > 0) {
    args.insert(args.end(), config.args().begin(), config.args().end());
  } else if (config.command().empty()) {
    args.insert(args.end(), image.command.begin(), image.command.end());
  }
  if (args.empty()) {
    return fail(Kind::invalid, "command: neither the container nor the image names one");
  }
  return args;
}

std::vector<std::string> process_env(const v1::ContainerConfig& config, const ImageDefaults& image,
                                     const std::string& hostname) {
  std::vector<std::string> env{std::string(kPath)};
  if (config.tty()) {
    env.emplace_back("TERM=xterm");
  }
  set_env(env, "HOSTNAME=" + hostname);
  for (const auto& entry : image.env) {
    set_env(env, entry);
  }
  for (const auto& entry : config.envs()) {
    set_env(env, entry.key() + "=" + entry.value());
  }
  return env;
}

Result<std::string> process_user(const v1::LinuxContainerSecurityContext& security, const ImageDefaults& image) {
  std::string user = security.run_as_username();
  if (security.has_run_as_user()) {
    user = std::to_string(security.run_as_user().value());
  }
  if (security.has_run_as_group()) {
    if (user.empty()) {
      return fail(Kind::invalid, "linux.security_context.run_as_group: needs run_as_user or run_as_username");
    }
    user += ":" + std::to_string(security.run_as_group().value());
  }
  return user.empty() ? image.user : user;
}

shim::ProcessSpec exec_process(const shim::ProcessSpec& container, std::vector<std::string> args, bool tty) {
  auto process = container;
  process.args = std::move(args);
  process.tty = tty;
  if (tty) {
    set_env(process.env, "TERM=xterm");
  }
  return process;
}

Result<shim::ContainerSpec> build_spec(const SpecInput& input) {
  shim::ContainerSpec spec;
  spec.id = input.id;
  KEELSON_TRY(spec.process.args, process_args(input.config, input.image));
  spec.process.env = process_env(input.config, input.image, input.sandbox.hostname());
  spec.process.cwd = !input.config.working_dir().empty() ? input.config.working_dir() : input.image.working_dir;
  if (spec.process.cwd.empty()) {
    spec.process.cwd = "/";
  }
  spec.process.tty = input.config.tty();
  spec.stdin_open = input.config.stdin();
  spec.stdin_once = input.config.stdin_once();
  spec.lower_dirs = input.layers;
  spec.upper_dir = input.container_dir + "/upper";
  spec.work_dir = input.container_dir + "/work";
  spec.rootfs_dir = input.container_dir;  // in the container's own mount namespace: here it stays what it is
  // The writable layer dies with the container: overlayfs need not sync it (mount option since Linux 5.10).
  spec.overlay_options = "volatile";
  spec.cgroup_procs = input.cgroup_procs;
  spec.log_path = input.log_path;
  const auto& linux = input.config.linux();
  spec.oom_score_adj = static_cast<int32_t>(std::clamp<int64_t>(linux.resources().oom_score_adj(), -1000, 1000));
  spec.pid = pid_of(input);
  spec.target_pid = input.target_pid;
  KEELSON_DO(add_security(input, spec));
  KEELSON_DO(add_mounts(input, spec));
  KEELSON_DO(add_devices(input, spec));
  KEELSON_DO(add_cdi(input, spec));
  return spec;
}

}  // namespace keelson::cri
