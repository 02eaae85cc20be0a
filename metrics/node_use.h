// SPDX-License-Identifier: Apache-2.0
// What a node, its pods and their containers use: read in one go, and then only looked at.
//
//   Places (what there is, from the agent) --> NodeReader (cgroups, links, disks) --> NodeUse --> summary.h
//                                                                                            --> cadvisor.h
//                                                                                            --> resource.h
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/cgroup/counters.h"
#include "common/clock.h"
#include "metrics/links.h"

namespace keelson::metrics {

/// Of a file system, or of a part of one: then capacity, available and inodes are those of the whole.
struct DiskUse {
  uint64_t capacity = 0, available = 0, used = 0;  ///< bytes
  uint64_t inodes = 0, inodes_free = 0, inodes_used = 0;
};

struct ContainerPlace {
  std::string name;
  std::string id;  ///< the runtime's
  std::string image;
  std::string log_path;
  WallTime started{};
  std::optional<DiskUse> layer = {};  ///< used, inodes_used of its writable layer, as the runtime tells
};

struct VolumePlace {
  std::string name;
  std::string path;
  std::string claim = {};  ///< of a PersistentVolumeClaim
  bool limited = false;    ///< looked at each time, as long as that is quickly done
};

struct PodPlace {
  std::string ns, name, uid;
  std::string cgroup;
  WallTime started{};
  bool host_network = false;               ///< its links are the node's, and count there
  std::vector<ContainerPlace> containers;  ///< those that run
  std::vector<VolumePlace> volumes;
  std::string hosts_file{};  ///< its containers' /etc/hosts, which they may write to (CVE-2020-8557)
};

/// A process of the node's own that the Summary API tells of, with all that are in its cgroup.
struct SystemPlace {
  std::string name;  ///< "kubelet", "runtime"
  pid_t process = 0;
};

/// Which machine this is, as the Node's nodeInfo says it.
struct MachineIds {
  std::string machine, system, boot;
};

struct NodePlaces {
  std::string name;
  MachineIds ids = {};
  std::string root;                      ///< the agent's folder: what is on its disk counts as the node's
  std::vector<std::string> pod_cgroups;  ///< of all pods, and of the QoS classes: "/kubepods", ...
  std::vector<SystemPlace> system = {};
  std::vector<PodPlace> pods;
  std::optional<DiskUse> images;  ///< used, inodes_used of the image store, as the runtime tells
  std::string images_path = {};   ///< a path on its file system
};

/// One cgroup. The rate is known from the second reading on, some seconds later.
struct GroupUse {
  std::string cgroup;
  WallTime at{};  ///< when it was read
  cgroup::Counters counters;
  std::optional<uint64_t> cpu_rate;  ///< billionths of a CPU
};

/// One of the node's own, in a cgroup that is not the whole machine.
struct SystemUse : GroupUse {
  std::string name;
  WallTime started{};
};

/// What the processes of a container hold.
struct ProcessUse {
  size_t count = 0;
  size_t files = 0, sockets = 0;      ///< open descriptors, and those of them that are sockets; read with disks alone
  std::optional<int64_t> most_files;  ///< the soft limit of the first one; -1: none
};

struct ContainerUse : GroupUse {
  ContainerPlace place;
  ProcessUse processes;
  DiskUse logs;  ///< used, inodes_used
};

struct VolumeUse {
  VolumePlace place;
  WallTime at{};
  DiskUse disk;
  bool apart = false;                 ///< on a file system of its own, such as memory
  std::optional<bool> abnormal = {};  ///< whether something is wrong with it; none: nobody tells
};

struct PodUse : GroupUse {
  PodPlace place;
  std::vector<LinkUse> links;  ///< unknown (none) while no process runs
  std::vector<ContainerUse> containers;
  std::vector<VolumeUse> volumes;
  DiskUse hosts_file;
};

/// A disk or a part of one; counted since boot.
struct BlockDevice {
  struct Direction {
    uint64_t merged = 0, sectors = 0;
    std::chrono::milliseconds time{0};  ///< of all requests together
  };
  std::string name;  ///< "sda1"
  Direction reads = {}, writes = {};
  uint64_t in_progress = 0;               ///< now
  std::chrono::milliseconds busy{0};      ///< with any
  std::chrono::milliseconds weighted{0};  ///< as often as there were requests
};
/// By major and minor number.
using BlockDevices = std::map<std::pair<uint32_t, uint32_t>, BlockDevice>;

struct NodeUse : GroupUse {
  std::string name;
  MachineIds ids;
  WallTime booted{};
  unsigned cpus = 0, cores = 0, sockets = 0;
  uint64_t memory_capacity = 0, swap_capacity = 0;
  uint64_t threads = 0, most_threads = 0;
  DiskUse disk;  ///< of the agent's folder
  std::optional<DiskUse> images;
  bool images_apart = false;  ///< on another file system than `disk`; then its numbers are all in `images`
  std::vector<LinkUse> links;
  BlockDevices block_devices;
  std::vector<SystemUse> system;
  std::vector<GroupUse> groups;  ///< NodePlaces::pod_cgroups
  std::vector<PodUse> pods;
};

}  // namespace keelson::metrics
