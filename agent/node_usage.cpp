// SPDX-License-Identifier: Apache-2.0
#include "agent/node_usage.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/claim_usage.h"
#include "agent/config/resources.h"
#include "agent/config/volumes.h"
#include "agent/eviction/ranking.h"
#include "agent/node/machine.h"
#include "common/cgroup/counters.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/on_loop.h"

namespace keelson::agent {

namespace {

using metrics::Depth;

constexpr auto kAskLimit = std::chrono::seconds(10);
constexpr auto kDisksAge = std::chrono::seconds(30);
constexpr auto kDisksLimit = std::chrono::seconds(2);  // an answer without them is better than a scrape that times out

metrics::MachineIds machine_ids() {
  auto machine = read_identity("");
  return {.machine = std::move(machine.machine_id),
          .system = std::move(machine.system_uuid),
          .boot = std::move(machine.boot_id)};
}

std::vector<KnownPod> pods_of(const Agent& agent, const UsageOptions& options) {
  std::vector<KnownPod> list;
  for (auto& pod : agent.pods()) {
    auto observed = agent.find_observed(pod.metadata.ns, pod.metadata.name);
    if (observed) {
      auto mounted = options.mounted(pod.metadata.uid);
      list.push_back({std::move(pod), *std::move(observed), std::move(mounted)});
    }
  }
  return list;
}

/// The newest instance of each container that runs.
std::vector<metrics::ContainerPlace> containers_of(const ObservedPod& observed) {
  std::vector<metrics::ContainerPlace> places;
  for (const auto& container : observed.containers) {
    if (container.state == RunState::running && observed.newest(container.name) == &container) {
      places.push_back({.name = container.name,
                        .id = container.id,
                        .image = container.image,
                        .log_path = container.log_path,
                        .started = container.started_at});
    }
  }
  return places;
}

std::vector<metrics::VolumePlace> volumes_of(const kube::Pod& pod, const Volumes& volumes) {
  std::vector<metrics::VolumePlace> places;
  const bool limited = limits_storage(pod);
  const auto used = used_volumes(pod.spec);
  for (const auto& volume : pod.spec.volumes) {
    // The node's own files and images are no use of the pod's, and claims' volumes have a look of their own.
    if (used.contains(volume.name) && !volume.host_path && !volume.image && !is_of_storage(volume)) {
      places.push_back({.name = volume.name, .path = volumes.path_of(pod, volume), .limited = limited});
    }
  }
  return places;
}

/// The volumes of claims, and those of which drivers tell, as far as drivers and file systems have told.
std::vector<metrics::VolumeUse> claims_of(const KnownPod& known, const ClaimUsage& usage) {
  std::vector<metrics::VolumeUse> uses;
  for (const auto& volume : known.pod.spec.volumes) {
    const auto mounted = known.mounted.find(volume.name);
    if (mounted == known.mounted.end()) {
      continue;
    }
    const auto& there = mounted->second;
    metrics::VolumeUse use{.place = {.name = volume.name, .path = there.path, .claim = claim_of(known.pod, volume)},
                           .disk = {},
                           .apart = true};
    if (there.use) {
      use.at = there.use->at;
      use.disk = there.use->disk;
      use.abnormal = there.use->abnormal;
      uses.push_back(std::move(use));
    } else if (const auto seen = usage.find(there.path); seen && !there.told && !use.place.claim.empty()) {
      use.at = seen->at;
      use.disk = seen->disk;
      uses.push_back(std::move(use));
    }
  }
  return uses;
}

/// Who serves there; 0: nobody. Connecting takes no time, or is not done.
pid_t server_of(const std::string& socket) {
  const Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (socket.empty() || socket.size() >= sizeof address.sun_path) {
    return 0;
  }
  socket.copy(address.sun_path, socket.size());
  ucred server{};
  socklen_t size = sizeof server;
  return ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                 ::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &server, &size) == 0
             ? server.pid
             : 0;
}

metrics::DiskUse disk_of(const cri::FileUse& use) {
  return {.used = use.bytes, .inodes_used = use.inodes};
}

}  // namespace

struct NodeUsage::State {
  State(Loop& l, Loop& al, Agent& a, cri::RuntimeClient& r, UsageOptions o)
      : loop(l),
        agents_loop(al),
        agent(a),
        runtime(r),
        options(std::move(o)),
        volumes(options.root),
        claims(l.clock()) {
    if (auto cgroups = cgroup::CounterReader::open()) {
      reader = std::make_shared<metrics::NodeReader>(*std::move(cgroups));
    } else {
      log::warning("what pods use is not known: {}", cgroups.error().message());
    }
  }

  /// What the runtime tells of disks; what it told before while it is away.
  Task<> refresh_disks() {
    const auto now = loop.clock().steady();
    if (disks_at && now - *disks_at < kDisksAge) {
      co_return Result<>();
    }
    disks_at = now;  // whoever comes meanwhile takes what there is
    server = server_of(options.cri_socket);
    auto written = co_await runtime.list_writable_layers(kDisksLimit);
    if (!written) {
      log::debug("what containers wrote: {}", written.error().message());
      co_return Result<>();  // it is away: it need not be waited for twice
    }
    layers = *std::move(written);
    co_return co_await refresh_images();
  }

  Task<> refresh_images() {
    auto stored = co_await runtime.image_store(kDisksLimit);
    if (stored) {
      images = disk_of(*stored);
      images_path = stored->mountpoint;
    } else {
      log::debug("the image store: {}", stored.error().message());
    }
    co_return Result<>();
  }

  metrics::NodePlaces node_places() const {
    metrics::NodePlaces node{.name = options.node_name,
                             .ids = ids,
                             .root = options.root,
                             .pod_cgroups = {},
                             .system = {{"kubelet", ::getpid()}},
                             .pods = {},
                             .images = images,
                             .images_path = images_path};
    if (server != 0) {
      node.system.push_back({"runtime", server});
    }
    for (const char* group : {"kubepods", "kubepods/burstable", "kubepods/besteffort"}) {
      node.pod_cgroups.push_back(cgroup::nested_path(options.driver, {options.cgroup_root, group}));
    }
    return node;
  }

  metrics::NodePlaces places(const std::vector<KnownPod>& pods) const {
    auto node = node_places();
    for (const auto& [pod, observed, mounted] : pods) {
      auto& place = node.pods.emplace_back(metrics::PodPlace{
          .ns = pod.metadata.ns,
          .name = pod.metadata.name,
          .uid = pod.metadata.uid,
          .cgroup = pod_cgroup(options.driver, options.cgroup_root, pod),
          .started = pod.status.start_time.value_or(pod.metadata.creation_timestamp.value_or(WallTime())),
          .host_network = pod.spec.host_network,
          .containers = containers_of(observed),
          .volumes = volumes_of(pod, volumes),
          .hosts_file = volumes.hosts_file(pod.metadata.uid)});
      for (auto& container : place.containers) {
        if (const auto known = layers.find(container.id); known != layers.end()) {
          container.layer = disk_of(known->second);
        }
      }
    }
    return node;
  }

  void look_at_claims(const std::vector<KnownPod>& pods) {
    std::vector<std::string> paths;
    for (const auto& known : pods) {
      for (const auto& volume : known.pod.spec.volumes) {
        const auto mounted = known.mounted.find(volume.name);
        if (mounted != known.mounted.end() && !mounted->second.block && !mounted->second.told &&
            !claim_of(known.pod, volume).empty()) {
          paths.push_back(mounted->second.path);
        }
      }
    }
    claims.look(std::move(paths));
  }

  Task<metrics::NodeUse> read(metrics::NodePlaces what, Depth depth) {
    if (!reader) {
      co_return fail(Kind::unsupported, "this node has no cgroups that can be read");
    }
    auto work = [reader = reader, what = std::move(what), depth] {
      return Result<metrics::NodeUse>(reader->read(what, depth));
    };
    co_return co_await blocking(kernel, std::move(work));
  }

  Loop& loop;
  Loop& agents_loop;
  Agent& agent;
  cri::RuntimeClient& runtime;
  const UsageOptions options;
  const Volumes volumes;
  ClaimUsage claims;
  std::shared_ptr<metrics::NodeReader> reader;  // null: no cgroups
  std::optional<SteadyTime> disks_at;
  pid_t server = 0;  // of the runtime's socket
  std::map<std::string, cri::FileUse> layers;
  std::optional<metrics::DiskUse> images;
  std::string images_path;
  const metrics::MachineIds ids = machine_ids();
  asio::thread_pool kernel{1};
};

NodeUsage::NodeUsage(Loop& loop, Loop& agents_loop, Agent& agent, cri::RuntimeClient& runtime, UsageOptions options)
    : state_(std::make_unique<State>(loop, agents_loop, agent, runtime, std::move(options))) {}

NodeUsage::~NodeUsage() = default;

Task<std::vector<KnownPod>> NodeUsage::pods() {
  State& s = *state_;
  co_return co_await with_deadline<std::vector<KnownPod>>(
      s.loop, kAskLimit,
      on_loop(s.agents_loop, [&a = s.agent, &o = s.options] { return Result<std::vector<KnownPod>>(pods_of(a, o)); }));
}

std::vector<metrics::PodUse> NodeUsage::claims(const std::vector<KnownPod>& pods) {
  State& s = *state_;
  s.look_at_claims(pods);
  std::vector<metrics::PodUse> uses;
  for (const auto& known : pods) {
    if (auto volumes = claims_of(known, s.claims); !volumes.empty()) {
      auto& use = uses.emplace_back();
      use.place.ns = known.pod.metadata.ns;
      use.place.name = known.pod.metadata.name;
      use.volumes = std::move(volumes);
    }
  }
  return uses;
}

Task<metrics::NodeUse> NodeUsage::read(Depth depth) {
  State& s = *state_;
  if (depth == Depth::disks) {
    KEELSON_CO_DO(co_await s.refresh_disks());
  }
  KEELSON_CO_TRY(const auto known, co_await pods());
  KEELSON_CO_TRY(auto use, co_await s.read(s.places(known), depth));
  if (depth == Depth::disks) {
    s.look_at_claims(known);
    for (size_t i = 0; i < use.pods.size(); ++i) {
      for (auto& volume : claims_of(known[i], s.claims)) {
        use.pods[i].volumes.push_back(std::move(volume));
      }
    }
  }
  co_return use;
}

Task<metrics::NodeUse> NodeUsage::read_node() {
  State& s = *state_;
  if (s.images_path.empty()) {
    KEELSON_CO_DO(co_await s.refresh_images());
  }
  co_return co_await s.read(s.node_places(), Depth::groups);
}

}  // namespace keelson::agent
