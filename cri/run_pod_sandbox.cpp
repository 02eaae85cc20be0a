// SPDX-License-Identifier: Apache-2.0
// RPC RunPodSandbox: record, cgroup, files, shim with its namespaces, network; each step undone if a later one fails.
#include <fcntl.h>
#include <unistd.h>

#include "common/cgroup/unit_name.h"
#include "common/fd.h"
#include "common/log.h"
#include "cri/runtime/handlers.h"
#include "cri/runtime/id_mappings.h"
#include "cri/runtime/lifecycle.h"
#include "cri/runtime/sandbox_files.h"
#include "cri/runtime/sysctls.h"
#include "cri/runtime/undo.h"
#include "cri/service.h"
#include "cri/status.h"

namespace keelson::cri {

namespace {

bool on_host_network(const v1::PodSandboxConfig& config) {
  return config.linux().security_context().namespace_options().network() == v1::NODE;
}

Result<> validate(const Parts& parts, const v1::RunPodSandboxRequest& request) {
  if (!request.config().has_metadata() || request.config().metadata().name().empty()) {
    return fail(Kind::invalid, "config.metadata: a sandbox needs a name");
  }
  KEELSON_DO(check_sysctls(request.config()));
  KEELSON_TRY(const auto* handler, find_handler(parts.options, request.runtime_handler()));
  if (handler != nullptr) {
    KEELSON_DO(check_runnable(*handler));
  }
  if (handler != nullptr && parts.cgroups.driver() == cgroup::Driver::systemd) {
    return fail(Kind::unsupported, "runtime handler {}: not with the systemd cgroup driver", handler->name);
  }
  constexpr const char* kUsers = "config.linux.security_context.namespace_options.userns_options";
  KEELSON_TRY(const auto users,
              id_mappings(request.config().linux().security_context().namespace_options()).context(kUsers));
  if (!users.empty() && handler != nullptr) {
    return fail(Kind::unsupported, "{}: not with the runtime handler {}", kUsers, handler->name);
  }
  if (!users.empty() && parts.no_user_namespaces) {
    return fail(Kind::unsupported, "{}: {}", kUsers, parts.no_user_namespaces->message());
  }
  return {};
}

SandboxRecord new_record(const Parts& parts, const v1::RunPodSandboxRequest& request) {
  SandboxRecord record;
  record.set_id(PodTable::new_id());
  *record.mutable_config() = request.config();
  record.set_runtime_handler(request.runtime_handler());
  record.set_created_at(now_ns());
  record.set_state(v1::SANDBOX_NOTREADY);
  record.set_cgroup_parent(
      cgroup::parent_path(request.config().linux().cgroup_parent(), parts.options.default_cgroup_parent));
  if (!on_host_network(request.config())) {
    record.set_netns_path(parts.netns_path(record.id()));
  }
  return record;
}

shim::SandboxSpec spec_of(const Parts& parts, const SandboxRecord& record) {
  const auto& options = record.config().linux().security_context().namespace_options();
  shim::SandboxSpec spec;
  spec.id = record.id();
  spec.run_dir = parts.sandbox_dir(record.id());
  spec.hostname = record.config().hostname();
  spec.netns_pin = record.netns_path();
  if (options.ipc() != v1::NODE) {
    spec.shm_dir = parts.shared_memory_dir(record.id());
  }
  spec.ipc = options.ipc() == v1::NODE ? shim::NamespaceMode::node : shim::NamespaceMode::pod;
  spec.pid = options.pid() == v1::POD    ? shim::NamespaceMode::pod
             : options.pid() == v1::NODE ? shim::NamespaceMode::node
                                         : shim::NamespaceMode::container;
  if (auto users = id_mappings(options)) {  // it was checked before there was a record
    spec.uid_mappings = std::move(users->uids);
    spec.gid_mappings = std::move(users->gids);
  }
  for (const auto& [name, value] : record.config().linux().sysctls()) {
    spec.sysctls.push_back({name, value});
  }
  spec.cgroup_procs = parts.cgroups.procs_files(parts.cgroups.child(record.cgroup_parent(), record.id()));
  if (!parts.cgroups.unified() && parts.cgroups.driver() == cgroup::Driver::cgroupfs) {
    // On a hybrid node the v2 tree has no limits, and joining it costs 10 ms: the shim is left out of it. But systemd
    // looks there for whether the scope is empty.
    std::erase_if(spec.cgroup_procs, [](const auto& file) { return file.ends_with("/cgroup.procs"); });
  }
  spec.oom_score_adj = -998;  // as the kubelet asks for pause containers
  return spec;
}

Result<> make_folders(const Parts& parts, const SandboxRecord& record) {
  const auto dir = parts.sandbox_dir(record.id());
  KEELSON_DO(make_directories(dir, 0711));
  if (!record.config().log_directory().empty()) {
    KEELSON_DO(make_directories(record.config().log_directory(), 0755).context("config.log_directory"));
  }
  return provide_sandbox_files(parts.sandbox_files_dir(record.id()), record.config());
}

Result<> launch_shim(Parts& parts, const std::shared_ptr<Sandbox>& sandbox) {
  const auto record = sandbox->record();
  if (!record.netns_path().empty()) {
    KEELSON_DO(make_directories(parts.options.run_dir + "/netns", 0711));
  }
  KEELSON_TRY(auto shim,
              shim::ShimClient::launch(parts.options.shim_binary, spec_of(parts, record), parts.options.shim_timeout));
  sandbox->set_shim(std::move(shim));
  KEELSON_TRY(auto line, shim::ShimClient::connect(parts.sandbox_dir(record.id()), parts.options.shim_timeout));
  return parts.watcher->watch(record.id(), std::move(line));
}

Result<> attach_network(Parts& parts, const std::shared_ptr<Sandbox>& sandbox) {
  if (sandbox->read([](const auto& record) { return record.netns_path().empty(); })) {
    return {};
  }
  KEELSON_DO(sandbox->update([](SandboxRecord& record) { record.set_network_attached(true); }));
  const auto attachment = parts.network.attach(sandbox->record());
  if (!attachment) {  // the invoker has undone what its plugins did
    KEELSON_DO(sandbox->update([](SandboxRecord& record) { record.set_network_attached(false); }));
    return std::unexpected(attachment.error());
  }
  return sandbox->update([&](SandboxRecord& record) {
    record.mutable_addresses()->Assign(attachment->addresses.begin(), attachment->addresses.end());
    record.set_cni_result(attachment->result);
  });
}

Result<std::string> run(Parts& parts, const v1::RunPodSandboxRequest& request) {
  KEELSON_DO(validate(parts, request));
  auto record = new_record(parts, request);
  const auto id = record.id();
  auto sandbox = std::make_shared<Sandbox>(record, parts.records);
  std::unique_lock turn(sandbox->operation());  // whoever has heard of the id meanwhile waits
  KEELSON_DO(parts.pods.insert(sandbox));
  Undo undo;
  undo.add([&parts, &turn, sandbox] {
    turn.unlock();
    if (auto removed = remove_sandbox(parts, sandbox); !removed) {
      // From now on the client sees it, NOTREADY, and can remove it when the reason is gone.
      log::warning("undo of sandbox {}: {}; left for its removal", sandbox->id(), removed.error().message());
      auto shown = sandbox->update([](SandboxRecord& change) { change.set_complete(true); });
      if (!shown) {
        log::error("{}", shown.error().message());
      }
    }
  });
  KEELSON_DO(parts.records.save(record));
  KEELSON_TRY(const auto hold, parts.cgroups.create(parts.cgroups.child(record.cgroup_parent(), id)));
  KEELSON_DO(make_folders(parts, record));
  KEELSON_DO(launch_shim(parts, sandbox));
  KEELSON_DO(attach_network(parts, sandbox).context("network"));
  // A shim that was killed meanwhile has been told of, and is not made ready again.
  if (sandbox->shim() == nullptr) {
    return fail(Kind::internal, "the sandbox's shim was killed while it was made");
  }
  KEELSON_DO(sandbox->update([](SandboxRecord& change) {
    change.set_state(v1::SANDBOX_READY);
    change.set_complete(true);
  }));
  if (sandbox->shim() == nullptr) {  // in between: its loss may have been written before this
    KEELSON_DO(sandbox->update([](SandboxRecord& change) { change.set_state(v1::SANDBOX_NOTREADY); }));
  }
  undo.keep();
  tell(parts, *sandbox, id, v1::CONTAINER_CREATED_EVENT);
  tell(parts, *sandbox, id, v1::CONTAINER_STARTED_EVENT);
  return id;
}

}  // namespace

grpc::Status RuntimeService::RunPodSandbox(grpc::ServerContext*, const v1::RunPodSandboxRequest* request,
                                           v1::RunPodSandboxResponse* response) {
  auto id = run(parts_, *request).context("run sandbox {}", request->config().metadata().name());
  if (id) {
    response->set_pod_sandbox_id(*id);
  }
  return to_status(id);
}

}  // namespace keelson::cri
