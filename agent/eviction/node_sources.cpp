// SPDX-License-Identifier: Apache-2.0
#include "agent/eviction/node_sources.h"

namespace keelson::agent {

namespace {

void add(Observations& to, EvictionSignal signal, int64_t capacity, int64_t available) {
  if (capacity > 0) {
    to[signal] = {.available = available, .capacity = capacity};
  }
}

}  // namespace

NodeEvictionSources::NodeEvictionSources(NodeUsage& usage, ImageCollector& images, std::string state_dir,
                                         int64_t reserved_memory)
    : usage_(usage), images_(images), state_dir_(std::move(state_dir)), reserved_memory_(reserved_memory) {}

Task<Observations> NodeEvictionSources::observe() {
  auto look = [folder = state_dir_]() -> Result<Machine> { return read_machine("", folder); };
  KEELSON_CO_TRY(const auto machine, co_await blocking(disk_, std::move(look)));
  KEELSON_CO_TRY(const auto node, co_await usage_.read_node());
  Observations found;
  add(found, EvictionSignal::memory_available, machine.memory, machine.memory_available);
  if (!node.groups.empty()) {
    const int64_t for_pods = machine.memory - reserved_memory_;
    add(found, EvictionSignal::allocatable_memory, for_pods,
        for_pods - static_cast<int64_t>(node.groups.front().counters.working_set));
  }
  add(found, EvictionSignal::nodefs_available, machine.storage, machine.storage_available);
  add(found, EvictionSignal::nodefs_inodes_free, machine.inodes, machine.inodes_free);
  const bool apart = node.images_apart && node.images;
  const auto images = apart ? *node.images
                            : metrics::DiskUse{.capacity = static_cast<uint64_t>(machine.storage),
                                               .available = static_cast<uint64_t>(machine.storage_available),
                                               .inodes = static_cast<uint64_t>(machine.inodes),
                                               .inodes_free = static_cast<uint64_t>(machine.inodes_free)};
  for (const auto signal : {EvictionSignal::imagefs_available, EvictionSignal::containerfs_available}) {
    add(found, signal, static_cast<int64_t>(images.capacity), static_cast<int64_t>(images.available));
  }
  for (const auto signal : {EvictionSignal::imagefs_inodes_free, EvictionSignal::containerfs_inodes_free}) {
    add(found, signal, static_cast<int64_t>(images.inodes), static_cast<int64_t>(images.inodes_free));
  }
  add(found, EvictionSignal::pid_available, machine.processes, machine.processes_available);
  co_return found;
}

Task<metrics::NodeUse> NodeEvictionSources::measure(bool disks) {
  return usage_.read(disks ? metrics::Depth::disks : metrics::Depth::groups);
}

Task<> NodeEvictionSources::free_images() {
  return images_.remove_unused();
}

}  // namespace keelson::agent
