// SPDX-License-Identifier: Apache-2.0
// RPC CreateContainer: record, image, folders, cgroup with its limits, spec, and the shim's child up to just before
// exec.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "common/apparmor.h"
#include "common/fd.h"
#include "common/log.h"
#include "cri/runtime/handlers.h"
#include "cri/runtime/image_volumes.h"
#include "cri/runtime/lifecycle.h"
#include "cri/runtime/resources.h"
#include "cri/runtime/sandbox_files.h"
#include "cri/runtime/signals.h"
#include "cri/runtime/undo.h"
#include "cri/service.h"
#include "cri/status.h"

namespace keelson::cri {

namespace {

Result<> validate(const v1::CreateContainerRequest& request, const Sandbox& sandbox) {
  if (!request.config().has_metadata() || request.config().metadata().name().empty()) {
    return fail(Kind::invalid, "config.metadata: a container needs a name");
  }
  if (!sandbox.ready()) {
    return fail(Kind::conflict, "sandbox {} is not ready", sandbox.id());
  }
  return {};
}

// log_directory/log_path, which must stay below the directory.
Result<std::string> log_path_of(const v1::PodSandboxConfig& sandbox, const v1::ContainerConfig& config) {
  if (sandbox.log_directory().empty() || config.log_path().empty()) {
    return std::string();
  }
  if (config.log_path().starts_with('/') || ("/" + config.log_path() + "/").find("/../") != std::string::npos) {
    return fail(Kind::invalid, "config.log_path: \"{}\" leaves the log directory", config.log_path());
  }
  auto path = sandbox.log_directory() + "/" + config.log_path();
  KEELSON_DO(make_directories(path.substr(0, path.rfind('/')), 0755).context("config.log_path"));
  return path;
}

Result<int> stop_signal_of(const v1::ContainerConfig& config, const RootImage& image) {
  if (const int number = signal_number(config.stop_signal())) {
    return number;
  }
  if (image.stop_signal.empty()) {
    return SIGTERM;
  }
  return signal_of_name(image.stop_signal).context("stop signal of the image");
}

Result<> make_folders(const std::string& dir) {
  for (const auto* name : {"/upper", "/work"}) {
    KEELSON_DO(make_directories(dir + name, 0755));
  }
  return {};
}

// The PID that NamespaceMode TARGET names; it must be in the same sandbox and run.
Result<int> target_pid_of(const Parts& parts, const Sandbox& sandbox, const v1::ContainerConfig& config) {
  const auto& options = config.linux().security_context().namespace_options();
  if (options.pid() != v1::TARGET) {
    return 0;
  }
  KEELSON_TRY(const auto target, parts.pods.container(options.target_id()));
  if (target.container->sandbox_id() != sandbox.id() || target.container->state() != v1::CONTAINER_RUNNING) {
    return fail(Kind::invalid, "namespace_options.target_id: {} does not run in this sandbox", options.target_id());
  }
  return target.container->read([](const auto& record) { return record.pid(); });
}

/// What comes with the CDI devices that it wants.
Result<cdi::Edits> cdi_of(const Parts& parts, const v1::ContainerConfig& config) {
  KEELSON_TRY(const auto devices, cdi::wanted_devices(config));
  return cdi::find_edits(parts.options.cdi_dirs, devices);
}

/// Who makes the container, and to which devices it is held.
Result<> choose_maker(Parts& parts, const Located& located, const ContainerRecord& record, const SpecInput& input,
                      shim::ContainerSpec& spec) {
  KEELSON_TRY(
      const auto* handler,
      find_handler(parts.options, located.sandbox->read([](const auto& one) { return one.runtime_handler(); })));
  if (handler != nullptr) {
    return give_to_handler(parts, *handler, record, input, spec);
  }
  if (!input.cdi_edits.hooks.empty()) {
    const auto& hook = input.cdi_edits.hooks.front();
    return fail(
        Kind::unsupported,
        "CDI device injection failed: {} is to run as a hook ({}), which OCI runtimes do and this one does not: "
        "give the pod a RuntimeClass of one (--runtime-handler)",
        hook.path, hook.name);
  }
  return parts.cgroups.confine_devices(record.cgroup(), with_usual_devices(device_rules(input, spec)));
}

Result<> build(Parts& parts, const Located& located, const v1::PodSandboxConfig& sandbox_config) {
  const auto record = located.container->record();
  const auto& config = record.config();
  KEELSON_TRY(const auto image, parts.images.acquire(config.image().image(), record.id()));
  KEELSON_TRY(const auto log_path, log_path_of(sandbox_config, config));
  KEELSON_TRY(const int stop_signal, stop_signal_of(config, image));
  KEELSON_TRY(const int target, target_pid_of(parts, *located.sandbox, config));
  const auto dir = parts.container_dir(record.id());
  KEELSON_DO(make_folders(dir));
  const auto files = parts.sandbox_files_dir(record.sandbox_id());
  KEELSON_DO(provide_sandbox_files(files, sandbox_config));  // a sandbox may be older than this place for them
  KEELSON_TRY(auto volumes, acquire_image_volumes(parts.images, config, record.id(), dir));
  KEELSON_TRY(const auto hold,
              parts.cgroups.create(record.cgroup(), limits_of(config.linux().resources())).context("linux.resources"));
  auto layers = image.layers;
  layers.push_back(parts.mount_points_dir());
  KEELSON_TRY(auto users, id_mappings(sandbox_config.linux().security_context().namespace_options()));
  KEELSON_TRY(auto edits, cdi_of(parts, config).context("CDI device injection failed"));
  const SpecInput input{.config = config,
                        .sandbox = sandbox_config,
                        .image = image.defaults,
                        .id = record.id(),
                        .container_dir = dir,
                        .sandbox_dir = parts.sandbox_dir(record.sandbox_id()),
                        .sandbox_files_dir = files,
                        .seccomp_dir = parts.options.seccomp_dir,
                        .layers = std::move(layers),
                        .cgroup_procs = parts.cgroups.procs_files(record.cgroup()),
                        .unified_cgroups = parts.cgroups.unified(),
                        .target_pid = target,
                        .users = std::move(users),
                        .log_path = log_path,
                        .apparmor = apparmor_is_on(),
                        .image_volumes = std::move(volumes),
                        .cdi_edits = std::move(edits)};
  KEELSON_TRY(auto spec, build_spec(input));
  spec.log_max_bytes = parts.options.log_max_bytes;
  spec.log_max_files = parts.options.log_max_files;
  KEELSON_DO(choose_maker(parts, located, record, input, spec));
  const auto shim = located.sandbox->shim();
  if (!shim) {
    return fail(Kind::conflict, "sandbox {} has lost its shim", located.sandbox->id());
  }
  const auto status = shim->create(spec);
  if (!status) {
    return parts.cgroups.oom_kills(record.cgroup()) == 0
               ? Result<>(std::unexpected(status.error()))
               : fail(Kind::invalid,
                      "it was killed for want of memory while it was made: a limit of {} bytes is too low",
                      config.linux().resources().memory_limit_in_bytes());
  }
  return located.container->update([&](ContainerRecord& change) {
    name_image_volumes(input.image_volumes, change);
    change.set_image_id(image.id);
    change.set_image_ref(image.reference);
    change.set_log_path(log_path);
    change.set_stop_signal(stop_signal);
    change.set_pid(status->pid);
    change.set_process(shim::encode(spec.process));
    change.set_complete(true);
  });
}

Result<std::string> create(Parts& parts, const v1::CreateContainerRequest& request) {
  KEELSON_TRY(auto sandbox, parts.pods.sandbox(request.pod_sandbox_id()));
  const std::shared_lock stays(sandbox->operation());
  KEELSON_DO(validate(request, *sandbox));
  ContainerRecord record;
  record.set_id(PodTable::new_id());
  record.set_sandbox_id(sandbox->id());
  *record.mutable_config() = request.config();
  record.set_state(v1::CONTAINER_CREATED);
  record.set_created_at(now_ns());
  *record.mutable_resources() = request.config().linux().resources();
  record.set_cgroup(
      parts.cgroups.child(sandbox->read([](const auto& one) { return one.cgroup_parent(); }), record.id()));
  const Located located{sandbox, std::make_shared<Container>(record, parts.records)};
  std::unique_lock turn(located.container->operation());
  KEELSON_DO(parts.pods.insert(sandbox, located.container));
  Undo undo;
  undo.add([&parts, &turn, located] {
    turn.unlock();
    if (auto removed = remove_container(parts, located); !removed) {
      log::warning("undo of container {}: {}; tried again at the next start", located.container->id(),
                   removed.error().message());
    }
  });
  KEELSON_DO(parts.records.save(record));
  const auto sandbox_config = sandbox->read([](const auto& one) { return one.config(); });
  KEELSON_DO(build(parts, located, sandbox_config));
  undo.keep();
  tell(parts, *sandbox, record.id(), v1::CONTAINER_CREATED_EVENT);
  return record.id();
}

}  // namespace

grpc::Status RuntimeService::CreateContainer(grpc::ServerContext*, const v1::CreateContainerRequest* request,
                                             v1::CreateContainerResponse* response) {
  auto id = create(parts_, *request);
  if (id) {
    response->set_container_id(*id);
    return to_status(id);
  }
  // Clients look at how this one begins.
  return id.error().message().starts_with(kImageVolumeMountFailed)
             ? to_status(id)
             : to_status(std::move(id).context("create container {}", request->config().metadata().name()));
}

}  // namespace keelson::cri
