// SPDX-License-Identifier: Apache-2.0
#include "agent/storage/storage.h"

#include <fmt/format.h>

#include "agent/cluster/cluster.h"
#include "agent/config/pod_work.h"
#include "agent/storage/csi_usage.h"
#include "agent/storage/csi_volumes.h"
#include "agent/storage/keyed_turns.h"
#include "agent/storage/local_volumes.h"
#include "agent/storage/simple_volumes.h"
#include "agent/storage/volume_growth.h"
#include "common/log.h"
#include "common/process.h"
#include "common/task_group.h"

namespace keelson::storage {

namespace {

/// How long a pod waits for another's mount from the same server before it says so and tries again.
constexpr std::chrono::seconds kServerWait{20};

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
        growth(loop, call, held,
               {.node_name = options.node_name,
                .grow = [this](SharedHeldVolume volume, int64_t bytes) { return grow(std::move(volume), bytes); },
                .record = options.record}),
        usage(loop, drivers, held, {.root = options.root, .health = options.volume_health, .record = options.record}),
        tasks(loop) {
    csi.adopt();
  }
  ~State() {
    pool.join();
    nfs_pool.join();
  }

  /// As below, and as large as it has to be.
  Task<agent::MountedVolume> hold(kube::Pod pod, kube::Volume volume, uint64_t cleanings) {
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
    auto one = std::make_shared<const HeldVolume>(
        HeldVolume{.pod = pod.metadata, .name = volume.name, .bound = *std::move(bound)});
    KEELSON_CO_TRY(auto mounted, co_await mount_counted(std::move(pod), one, cleanings));
    KEELSON_CO_DO(co_await growth.at_mount(one));
    held[{one->pod.uid, one->name}] = one;
    usage.ask(one);
    co_return mounted;
  }

  Task<agent::MountedVolume> mount_counted(kube::Pod pod, SharedHeldVolume one, uint64_t cleanings) {
    const auto plugin = plugin_of(one->bound);
    const bool block = one->bound.volume.volume_mode == kube::VolumeMode::block;
    options.volume_stats->wanted(one->pod.uid, one->name, plugin);
    const SteadyTime began = loop.clock().steady();
    auto mounted = co_await mount(std::move(pod), one->bound, cleanings);
    options.volume_stats->done(plugin, block ? "map_volume" : "volume_mount", loop.clock().steady() - began,
                               mounted ? nullptr : &mounted.error());
    if (mounted) {
      options.volume_stats->mounted(one->pod.uid, one->name);
    }
    co_return mounted;
  }

  // By bytes: clang 19 passes a Quantity (an __int128) on from a coroutine as if its frame were aligned otherwise.
  Task<Growing> grow(SharedHeldVolume volume, int64_t bytes) {
    if (volume->bound.volume.csi) {
      co_return co_await csi.grow(std::move(volume), bytes);
    }
    const auto done = co_await blocking(pool, [this, volume] { return local.grow(volume->pod.uid, volume->bound); });
    if (!done && done.error().kind() == Kind::cancelled) {
      co_return std::unexpected(done.error());
    }
    co_return done ? Growing() : Growing{Growing::End::failed, done.error().message()};
  }

  /// `cleanings`: as many as there had been of the pod when it was asked for. What is cancelled meanwhile, and hangs,
  /// is waited for by unmount().
  Task<agent::MountedVolume> mount(kube::Pod pod, BoundVolume bound, uint64_t cleanings) {
    if (bound.volume.csi) {
      co_return co_await csi.mount(std::move(pod), std::move(bound));
    }
    if (bound.volume.nfs) {
      co_return co_await mount_remote(std::move(pod), std::move(bound), cleanings);
    }
    auto work = [this, turn = works.of(pod.metadata.uid), cleanings, pod, bound]() -> Result<agent::MountedVolume> {
      KEELSON_TRY(const auto lock, agent::take_turn(*turn, cleanings, pod.metadata.uid));
      return bound.volume.local ? local.mount(pod, bound) : mount_plain(pod, bound);
    };
    co_return co_await blocking(pool, std::move(work));
  }

  Result<agent::MountedVolume> mount_plain(const kube::Pod& pod, const BoundVolume& bound) const {
    auto mounted = mount_simple(options.root, pod, bound);
    return mounted ? mounted : std::unexpected(agent::mount_error(mounted.error(), bound.name));
  }

  /// A server that does not answer holds one thread, however many pods have volumes of it: its turn is the thread's,
  /// and goes with the mount, though nobody may wait for it any more.
  Task<agent::MountedVolume> mount_remote(kube::Pod pod, BoundVolume bound, uint64_t cleanings) {
    const auto& server = bound.volume.nfs->server;
    auto taken = co_await with_deadline<KeyedTurns::Turn>(loop, kServerWait, servers.take(server));
    if (!taken && taken.error().kind() == Kind::timeout) {
      co_return std::unexpected(agent::mount_error(
          Error(Kind::timeout, fmt::format("an earlier mount from server {} has not ended yet", server)), bound.name));
    }
    if (!taken) {
      co_return std::unexpected(taken.error());
    }
    auto work = [this, own = works.of(pod.metadata.uid), cleanings, pod, bound,
                 turn = std::make_shared<KeyedTurns::Turn>(*std::move(taken))]() mutable {
      auto mounted = [&]() -> Result<agent::MountedVolume> {
        KEELSON_TRY(const auto lock, agent::take_turn(*own, cleanings, pod.metadata.uid));
        return mount_plain(pod, bound);
      }();
      loop.post([held = std::move(turn)] {});
      return mounted;
    };
    co_return co_await blocking(nfs_pool, std::move(work));
  }

  Task<> unmount(std::string uid) {
    auto turn = works.of(uid);
    const uint64_t cleanings = ++turn->cleanings;
    std::erase_if(held, [&](const auto& entry) { return entry.first.first == uid; });
    growth.forget_unheld();
    usage.forget_unheld();
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
  HeldVolumes held;
  VolumeGrowth growth;
  CsiUsage usage;
  KeyedTurns servers{loop};  // of NFS
  agent::PodWorks works;
  TaskGroup tasks;
  asio::thread_pool pool{4};
  asio::thread_pool nfs_pool{4};  // servers that do not answer hold these
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
  state_->tasks.spawn("volumes that grow", state_->growth.run());
  state_->tasks.spawn("use of drivers' volumes", state_->usage.run());
  co_return co_await state_->csi.republish();
}

Task<> Storage::close() {
  KEELSON_CO_DO(co_await state_->drivers.close());
  KEELSON_CO_DO(co_await state_->tasks.close());
  KEELSON_CO_DO(co_await state_->growth.close());
  KEELSON_CO_DO(co_await state_->usage.close());
  co_return co_await state_->csi.close();
}

Task<agent::MountedVolumes> Storage::mount(kube::Pod pod) {
  agent::MountedVolumes mounted;
  const auto turn = state_->works.of(pod.metadata.uid);
  const uint64_t cleanings = turn->cleanings;
  for (const auto& volume : pod.spec.volumes) {
    if (agent::is_of_storage(volume)) {
      KEELSON_CO_TRY(mounted[volume.name], co_await state_->hold(pod, volume, cleanings));
    }
  }
  co_return mounted;
}

void Storage::tell_use(const std::string& uid, agent::MountedVolumes& mounted) const {
  for (auto& [name, volume] : mounted) {
    if (const auto held = state_->held.find({uid, name}); held != state_->held.end()) {
      state_->usage.tell(*held->second, volume);
    }
  }
}

Task<> Storage::unmount(std::string uid) {
  co_return co_await state_->unmount(std::move(uid));
}

}  // namespace keelson::storage
