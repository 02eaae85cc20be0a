// SPDX-License-Identifier: Apache-2.0
#include "agent/storage/storage.h"

#include <fmt/format.h>

#include "agent/cluster/cluster.h"
#include "agent/storage/csi_volumes.h"
#include "agent/storage/simple_volumes.h"
#include "common/task_group.h"

namespace keelson::storage {

struct Storage::State {
  State(kube::Client& client, StorageOptions o)
      : options(std::move(o)),
        loop(client.loop()),
        call(agent::limited(loop, agent::api_call(client), agent::kDefaultRequests)),
        node(loop, call, options.node_name),
        drivers(loop, node, [this](const std::string& name) { tasks.spawn("staged volumes", csi.tidy(name)); }),
        csi(loop, call, drivers, {.root = options.root, .node_name = options.node_name, .in_use = options.in_use}),
        tasks(loop) {
    csi.adopt();
  }
  ~State() { pool.join(); }

  Task<agent::MountedVolume> mount(kube::Pod pod, kube::Volume volume) {
    auto bound = co_await bound_volume(loop, call, pod, volume);
    if (!bound) {
      Error error = std::move(bound).error();
      co_return std::unexpected(
          Error(error.kind(),
                fmt::format("Unable to attach or mount volumes: unmounted volumes=[{0}], unattached volumes=[{0}], "
                            "failed to process volumes=[{0}]: {1}",
                            volume.name, error.message()),
                error.code()));
    }
    if (bound->volume.csi) {
      co_return co_await csi.mount(std::move(pod), *std::move(bound));
    }
    auto mounted =
        co_await blocking(pool, [root = options.root, pod, own = *bound] { return mount_simple(root, pod, own); });
    if (!mounted) {
      co_return std::unexpected(agent::mount_error(mounted.error(), bound->name));
    }
    co_return mounted;
  }

  const StorageOptions options;
  Loop& loop;
  const agent::ApiCall call;
  CsiNodeObject node;
  CsiDrivers drivers;
  CsiVolumes csi;
  TaskGroup tasks;
  asio::thread_pool pool{4};  // mounts of NFS servers that do not answer hang here
};

Storage::Storage(kube::Client& client, StorageOptions options)
    : state_(std::make_unique<State>(client, std::move(options))) {}
Storage::~Storage() = default;

plugins::PluginHandler& Storage::drivers() {
  return state_->drivers;
}

Task<> Storage::run() {
  co_return co_await state_->csi.republish();
}

Task<> Storage::close() {
  KEELSON_CO_DO(co_await state_->drivers.close());
  co_return co_await state_->tasks.close();
}

Task<agent::MountedVolumes> Storage::mount(kube::Pod pod) {
  agent::MountedVolumes mounted;
  for (const auto& volume : pod.spec.volumes) {
    if (agent::is_of_storage(volume)) {
      KEELSON_CO_TRY(mounted[volume.name], co_await state_->mount(pod, volume));
    }
  }
  co_return mounted;
}

Task<> Storage::unmount(std::string uid) {
  co_return co_await state_->csi.unmount(std::move(uid));
}

}  // namespace keelson::storage
