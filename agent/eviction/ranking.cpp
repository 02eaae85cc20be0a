// SPDX-License-Identifier: Apache-2.0
#include "agent/eviction/ranking.h"

#include <fmt/format.h>

#include <algorithm>
#include <compare>

#include "kube/pod_qos.h"
#include "metrics/summary.h"

namespace keelson::agent {

namespace {

using kube::Quantity;

constexpr const char* kStorage = "ephemeral-storage";

Quantity binary(int64_t bytes) {
  return Quantity::of(bytes, Quantity::Format::binary_si);
}

int64_t requested(const kube::Pod& pod, const char* resource) {
  const auto requests = kube::pod_requests(pod);
  const auto found = requests.find(resource);
  return found != requests.end() ? found->second.whole() : 0;
}

/// On the node's disk as the pod's: kubelet IsLocalEphemeralVolume.
bool is_local(const kube::Pod& pod, const metrics::VolumeUse& use) {
  const auto volume = std::ranges::find(pod.spec.volumes, use.place.name, &kube::Volume::name);
  return volume != pod.spec.volumes.end() &&
         ((volume->empty_dir && volume->empty_dir->medium.empty()) || volume->config_map);
}

/// What a pod has on the disks that a signal is about.
metrics::DiskUse disk_of(const Candidate& candidate, EvictionSignal signal, bool images_apart) {
  const bool nodefs = signal == EvictionSignal::nodefs_available || signal == EvictionSignal::nodefs_inodes_free;
  const bool layers = !images_apart || !nodefs;
  const bool rest = !images_apart || nodefs;
  metrics::DiskUse sum;
  const auto add = [&sum](const metrics::DiskUse& part) {
    sum.used += part.used;
    sum.inodes_used += part.inodes_used;
  };
  for (const auto& container : candidate.use->containers) {
    add(layers ? container.place.layer.value_or(metrics::DiskUse()) : metrics::DiskUse());
    add(rest ? container.logs : metrics::DiskUse());
  }
  for (const auto& volume : candidate.use->volumes) {
    add(rest && is_local(*candidate.pod, volume) ? volume.disk : metrics::DiskUse());
  }
  return sum;
}

/// What a candidate is ranked by. Greater goes first.
struct Standing {
  bool unknown = false;
  bool exceeds = false;
  int64_t less_important = 0;
  int64_t beyond = 0;  ///< What it takes more than it requests.
  auto operator<=>(const Standing&) const = default;
};

Standing standing_of(const Candidate& candidate, EvictionSignal signal, bool images_apart) {
  Standing standing{.less_important = -int64_t{candidate.pod->spec.priority.value_or(0)}};
  if (candidate.use == nullptr) {
    standing.unknown = true;
    return standing;
  }
  const std::string_view resource = resource_of(signal);
  if (resource == "pids") {
    for (const auto& container : candidate.use->containers) {
      standing.beyond += static_cast<int64_t>(container.processes.count);
    }
    return standing;
  }
  int64_t takes = 0;
  int64_t request = 0;
  if (resource == "memory") {
    takes = static_cast<int64_t>(candidate.use->counters.working_set);
    request = requested(*candidate.pod, "memory");
  } else {
    const auto disk = disk_of(candidate, signal, images_apart);
    takes = static_cast<int64_t>(resource == "inodes" ? disk.inodes_used : disk.used);
    request = resource == "inodes" ? 0 : requested(*candidate.pod, kStorage);
  }
  standing.exceeds = takes > request;
  standing.beyond = takes - request;
  return standing;
}

/// nullopt: the resource is not counted by container.
std::optional<int64_t> used_by(const metrics::ContainerUse& container, std::string_view resource) {
  if (resource == "memory") {
    return static_cast<int64_t>(container.counters.working_set);
  }
  if (resource == kStorage && container.place.layer) {
    return static_cast<int64_t>(container.place.layer->used + container.logs.used);
  }
  return std::nullopt;
}

/// Not an ephemeral container: those cannot request anything.
const kube::Container* find_requesting(const kube::PodSpec& spec, const std::string& name) {
  for (const auto* list : {&spec.containers, &spec.init_containers}) {
    if (const auto found = std::ranges::find(*list, name, &kube::Container::name); found != list->end()) {
      return &*found;
    }
  }
  return nullptr;
}

std::optional<Exceeded> exceeded_empty_dir(const Candidate& candidate) {
  for (const auto& volume : candidate.pod->spec.volumes) {
    if (!volume.empty_dir || !volume.empty_dir->size_limit || volume.empty_dir->size_limit->zero()) {
      continue;
    }
    const auto& limit = *volume.empty_dir->size_limit;
    const auto use = std::ranges::find(candidate.use->volumes, volume.name,
                                       [](const metrics::VolumeUse& one) { return one.place.name; });
    if (use != candidate.use->volumes.end() && binary(static_cast<int64_t>(use->disk.used)) > limit) {
      return Exceeded{"emptydirfs.limit", fmt::format("Usage of EmptyDir volume \"{}\" exceeds the limit \"{}\". ",
                                                      volume.name, limit.to_string())};
    }
  }
  return std::nullopt;
}

const Quantity* limit_of(const kube::Container& container) {
  const auto found = container.resources.limits.find(kStorage);
  return found != container.resources.limits.end() && !found->second.zero() ? &found->second : nullptr;
}

}  // namespace

void rank(std::vector<Candidate>& candidates, EvictionSignal signal, bool images_apart) {
  std::vector<std::pair<Standing, Candidate>> ranked;
  for (const auto& candidate : candidates) {
    ranked.emplace_back(standing_of(candidate, signal, images_apart), candidate);
  }
  std::ranges::stable_sort(ranked, std::greater<>(), [](const auto& entry) { return entry.first; });
  std::ranges::transform(ranked, candidates.begin(), [](const auto& entry) { return entry.second; });
}

std::string eviction_message(EvictionSignal signal, const Candidate& candidate,
                             const std::vector<EvictionThreshold>& due, const Observations& observations) {
  const auto resource = resource_of(signal);
  std::string message = fmt::format("The node was low on resource: {}. ", resource);
  const auto threshold = std::ranges::find_if(
      due, [&](const auto& one) { return resource_of(one.signal) == resource && observations.contains(one.signal); });
  if (threshold != due.end()) {
    const auto& seen = observations.at(threshold->signal);
    const bool bytes = resource == "memory" || resource == kStorage;
    message += fmt::format("Threshold quantity: {}, available: {}. ",
                           (threshold->share ? binary(threshold->value(seen.capacity)) : threshold->amount).to_string(),
                           (bytes ? binary(seen.available) : Quantity::of(seen.available)).to_string());
  }
  if (candidate.use == nullptr) {
    return message;
  }
  for (const auto& container : candidate.use->containers) {
    const auto* spec = find_requesting(candidate.pod->spec, container.place.name);
    const auto used = used_by(container, resource);
    if (spec == nullptr || !used) {
      continue;
    }
    const auto request = spec->resources.requests.find(std::string(resource));
    const auto asked = request != spec->resources.requests.end() ? request->second : Quantity();
    if (binary(*used) > asked) {
      message += fmt::format("Container {} was using {}, request is {}, has larger consumption of {}. ", spec->name,
                             binary(*used).to_string(), asked.to_string(), resource);
    }
  }
  return message;
}

std::optional<Exceeded> exceeded_storage(const Candidate& candidate, bool images_apart) {
  if (candidate.use == nullptr) {
    return std::nullopt;
  }
  if (auto exceeded = exceeded_empty_dir(candidate)) {
    return exceeded;
  }
  const auto limits = kube::pod_limits(*candidate.pod);
  const auto whole = limits.find(kStorage);
  if (whole != limits.end() &&
      binary(static_cast<int64_t>(metrics::ephemeral_storage(*candidate.use).used)) > whole->second) {
    return Exceeded{"ephemeralpodfs.limit",
                    fmt::format("Pod ephemeral local storage usage exceeds the total limit of containers {}. ",
                                whole->second.to_string())};
  }
  for (const auto& container : candidate.use->containers) {
    const auto spec = std::ranges::find(candidate.pod->spec.containers, container.place.name, &kube::Container::name);
    const auto* limit = spec != candidate.pod->spec.containers.end() ? limit_of(*spec) : nullptr;
    const auto layer = images_apart ? 0 : container.place.layer.value_or(metrics::DiskUse()).used;
    if (limit != nullptr && binary(static_cast<int64_t>(container.logs.used + layer)) > *limit) {
      return Exceeded{"ephemeralcontainerfs.limit",
                      fmt::format("Container {} exceeded its local ephemeral storage limit \"{}\". ", spec->name,
                                  limit->to_string())};
    }
  }
  return std::nullopt;
}

bool limits_storage(const kube::Pod& pod) {
  return std::ranges::any_of(pod.spec.volumes,
                             [](const auto& volume) { return volume.empty_dir && volume.empty_dir->size_limit; }) ||
         std::ranges::any_of(pod.spec.containers, [](const auto& one) { return limit_of(one) != nullptr; }) ||
         kube::pod_limits(pod).contains(kStorage);
}

}  // namespace keelson::agent
