// SPDX-License-Identifier: Apache-2.0
// Reads what a node uses from the kernel. See node_use.h.
#pragma once

#include <map>
#include <string>

#include "common/cgroup/counters.h"
#include "common/clock.h"
#include "metrics/node_use.h"

namespace keelson::metrics {

/// What is worth a walk through files.
enum class Depth {
  groups,  ///< cgroups and links alone
  disks,   ///< logs and volumes, too; a volume's files are counted once a minute (VolumePlace::limited: each time)
};

/// One thread at a time; blocks on disks. Nothing here starts a program. What is gone meanwhile counts nothing.
class NodeReader {
 public:
  explicit NodeReader(cgroup::CounterReader cgroups, const Clock& clock = real_clock())
      : cgroups_(std::move(cgroups)), clock_(clock) {}

  NodeUse read(const NodePlaces& places, Depth depth);

 private:
  struct Rate {
    SteadyTime at{};
    uint64_t cpu = 0;
    std::optional<uint64_t> value;
    uint64_t turn = 0;
  };
  struct Walked {
    SteadyTime at{};
    Duration took{0};
    DiskUse disk;
    uint64_t turn = 0;
  };

  void read_group(GroupUse& group);
  void read_machine(NodeUse& node);
  PodUse read_pod(const PodPlace& place, Depth depth);
  ContainerUse read_container(const PodPlace& pod, const ContainerPlace& place, Depth depth, pid_t& inside);
  VolumeUse read_volume(const PodPlace& pod, const VolumePlace& place);
  std::optional<uint64_t> rate_of(const GroupUse& group);
  void forget_gone();

  const cgroup::CounterReader cgroups_;
  const Clock& clock_;
  std::map<std::string, Rate> rates_;     // by cgroup
  std::map<std::string, Walked> walked_;  // by path
  uint64_t turn_ = 0;
};

/// Of the file system that `path` is on; zeros if there is none.
DiskUse disk_of(const std::string& path);

}  // namespace keelson::metrics
