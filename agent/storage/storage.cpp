// SPDX-License-Identifier: Apache-2.0
#include "agent/storage/storage.h"

#include <fmt/format.h>

#include "agent/cluster/cluster.h"
#include "agent/config/pod_work.h"
#include "agent/storage/csi_volumes.h"
#include "agent/storage/local_volumes.h"
#include "agent/storage/simple_volumes.h"
#include "common/log.h"
#include "common/process.h"
#include "common/task_group.h"

namespace keelson::storage {

namespace {

/// As a metric says it.
std::string plugin_of(const BoundVolume& bound) {
  if (bound.volume.csi) {
    return "kubernetes.io/csi:" + bound.volume.csi->driver;
  }
  return bound.volume.local ? "kubernetes.io/local-volume"
         : bound.volume.nfs ? "kubernetes.io/nfs"
                            : "kubernetes.io/host-path";
}

}  // namespace

struct Storage::State {
  State(kube::Client& client, StorageOptions o)
      : options(std::move(o)),
        loop(client.loop()),
        call(agent::limited(loop, agent::api_call(client), agent::kDefaultRequests)),
        node(loop, call, options.node_name),
        drivers(loop, node, [this](const std::string& name) { tasks.spawn("staged volumes", csi.tidy(name)); }),
        csi(loop, call, drivers,
            {.root = options.root,
             .node_name = options.node_name,
             .in_use = options.in_use,
             .volume_stats = options.volume_stats}),
        local(options.root, run_command, options.volume_stats),
        tasks(loop) {
    csi.adopt();
  }
  ~State() { pool.join(); }

  /// `cleanings`: as many as there had been of the pod when it was asked for. What is cancelled meanwhile, and hangs,
  /// is waited for by unmount().
  Task<agent::MountedVolume> mount(kube::Pod pod, kube::Volume volume, uint64_t cleanings) {
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
    const auto plugin = plugin_of(*bound);
    const bool block = bound->volume.volume_mode == kube::VolumeMode::block;
    options.volume_stats->wanted(pod.metadata.uid, volume.name, plugin);
    const SteadyTime began = loop.clock().steady();
    auto mounted = co_await mount_bound(pod, *std::move(bound), cleanings);
    options.volume_stats->done(plugin, block ? "map_volume" : "volume_mount", loop.clock().steady() - began,
                               mounted ? nullptr : &mounted.error());
    if (mounted) {
      options.volume_stats->mounted(pod.metadata.uid, volume.name);
    }
    co_return mounted;
  }

  Task<agent::MountedVolume> mount_bound(kube::Pod pod, BoundVolume bound, uint64_t cleanings) {
    if (bound.volume.csi) {
      co_return co_await csi.mount(std::move(pod), std::move(bound));
    }
    auto work = [this, turn = works.of(pod.metadata.uid), cleanings, pod,
                 own = std::move(bound)]() -> Result<agent::MountedVolume> {
      KEELSON_TRY(const auto lock, agent::take_turn(*turn, cleanings, pod.metadata.uid));
      if (own.volume.local) {
        return local.mount(pod, own);
      }
      auto mounted = mount_simple(options.root, pod, own);
      return mounted ? mounted : std::unexpected(agent::mount_error(mounted.error(), own.name));
    };
    co_return co_await blocking(pool, std::move(work));
  }

  Task<> unmount(std::string uid) {
    auto turn = works.of(uid);
    const uint64_t cleanings = ++turn->cleanings;
    KEELSON_CO_DO(co_await csi.unmount(uid));
    co_return co_await blocking(pool, [this, turn, cleanings, uid]() -> Result<> {
      KEELSON_TRY(const auto lock, agent::take_turn(*turn, cleanings, uid));
      return local.unmount(uid);
    });
  }

  const StorageOptions options;
  Loop& loop;
  const agent::ApiCall call;
  CsiNodeObject node;
  CsiDrivers drivers;
  CsiVolumes csi;
  LocalVolumes local;
  agent::PodWorks works;
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
  auto tidied = co_await blocking(state_->pool, [state = state_.get()]() -> Result<> { return state->local.tidy(); });
  if (!tidied && tidied.error().kind() != Kind::cancelled) {
    log::warning("local volumes: {}; the next start tries again", tidied.error().message());
  }
  co_return co_await state_->csi.republish();
}

Task<> Storage::close() {
  KEELSON_CO_DO(co_await state_->drivers.close());
  KEELSON_CO_DO(co_await state_->csi.close());
  co_return co_await state_->tasks.close();
}

Task<agent::MountedVolumes> Storage::mount(kube::Pod pod) {
  agent::MountedVolumes mounted;
  const auto turn = state_->works.of(pod.metadata.uid);
  const uint64_t cleanings = turn->cleanings;
  for (const auto& volume : pod.spec.volumes) {
    if (agent::is_of_storage(volume)) {
      KEELSON_CO_TRY(mounted[volume.name], co_await state_->mount(pod, volume, cleanings));
    }
  }
  co_return mounted;
}

Task<> Storage::unmount(std::string uid) {
  co_return co_await state_->unmount(std::move(uid));
}

}  // namespace keelson::storage
