// SPDX-License-Identifier: Apache-2.0
#include "metrics/node_reader.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <tuple>

#include "common/fd.h"
#include "common/tree_use.h"
#include "metrics/machine_files.h"

namespace keelson::metrics {

namespace {

constexpr auto kShortest = std::chrono::seconds(5);     // between two readings that make a rate
constexpr auto kWalk = std::chrono::minutes(1);         // volumeStatsAggPeriod
constexpr auto kQuick = std::chrono::milliseconds(50);  // a walk that may be done at each reading
constexpr const char* kPodLinks[] = {"veth", "docker", "nerdctl", "kl"};

uint64_t number_in(const std::string& path) {
  return std::strtoull(read_file(path).value_or("").c_str(), nullptr, 10);
}

/// The number behind `key` in a text of "key number" lines.
uint64_t number_behind(const std::string& text, std::string_view key) {
  const size_t at = text.find(key);
  return at == text.npos ? 0 : std::strtoull(text.c_str() + at + key.size(), nullptr, 10);
}

/// What the files right below a folder take.
DiskUse use_of_folder(const std::string& path) {
  DiskUse use;
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(path.c_str()), &::closedir);
  while (const auto* entry = listing ? ::readdir(listing.get()) : nullptr) {
    struct stat file{};
    if (entry->d_name[0] != '.' && ::fstatat(::dirfd(listing.get()), entry->d_name, &file, AT_SYMLINK_NOFOLLOW) == 0) {
      use.used += static_cast<uint64_t>(file.st_blocks) * 512;
      ++use.inodes_used;
    }
  }
  return use;
}

/// Both are there, on different file systems.
bool are_apart(const std::string& one, const std::string& other) {
  struct stat first{}, second{};
  return ::stat(one.c_str(), &first) == 0 && ::stat(other.c_str(), &second) == 0 && first.st_dev != second.st_dev;
}

/// A file system of its own is on `path`.
bool is_mount(const std::string& path) {
  return are_apart(path, path + "/..");
}

}  // namespace

DiskUse disk_of(const std::string& path) {
  struct statvfs found{};
  if (::statvfs(path.c_str(), &found) != 0) {
    return {};
  }
  return {.capacity = found.f_blocks * found.f_frsize,
          .available = found.f_bavail * found.f_frsize,
          .used = (found.f_blocks - found.f_bfree) * found.f_frsize,
          .inodes = found.f_files,
          .inodes_free = found.f_ffree,
          .inodes_used = found.f_files - found.f_ffree};
}

std::optional<uint64_t> NodeReader::rate_of(const GroupUse& group) {
  auto& rate = rates_[group.cgroup];
  rate.turn = turn_;
  const auto now = clock_.steady();
  if (rate.at == SteadyTime() || group.counters.cpu < rate.cpu) {
    rate = {.at = now, .cpu = group.counters.cpu, .value = {}, .turn = turn_};
  } else if (now - rate.at >= kShortest) {
    const auto seconds = std::chrono::duration<double>(now - rate.at).count();
    rate.value = static_cast<uint64_t>(static_cast<double>(group.counters.cpu - rate.cpu) / seconds);
    rate.at = now;
    rate.cpu = group.counters.cpu;
  }
  return rate.value;
}

void NodeReader::read_group(GroupUse& group) {
  group.at = clock_.wall();
  group.counters = cgroups_.read(group.cgroup);
  group.cpu_rate = rate_of(group);
}

ContainerUse NodeReader::read_container(const PodPlace& pod, const ContainerPlace& place, Depth depth, pid_t& inside) {
  ContainerUse use;
  use.place = place;
  use.cgroup = cgroups_.find(pod.cgroup, place.id);
  if (!use.cgroup.empty()) {
    read_group(use);
    const auto members = cgroups_.members(use.cgroup);
    use.processes.count = members.size();
    if (!members.empty()) {
      use.processes.most_files = most_files_of(members.front());
    }
    for (const pid_t member : depth == Depth::disks ? members : std::vector<pid_t>()) {
      add_files(member, use.processes);
    }
    if (inside == 0 && !members.empty()) {
      inside = members.front();
    }
  }
  if (depth == Depth::disks && !place.log_path.empty()) {
    use.logs = use_of_folder(place.log_path.substr(0, place.log_path.rfind('/')));
  }
  return use;
}

VolumeUse NodeReader::read_volume(const PodPlace& pod, const VolumePlace& place) {
  VolumeUse use{.place = place, .at = clock_.wall(), .disk = disk_of(place.path)};
  if (is_mount(place.path)) {
    use.apart = true;
    return use;
  }
  auto& walked = walked_[pod.uid + "/" + place.name];
  walked.turn = turn_;
  const auto now = clock_.steady();
  if (walked.at == SteadyTime() || now - walked.at >= (place.limited && walked.took < kQuick ? Duration(0) : kWalk)) {
    walked.at = now;
    const auto found = use_of_tree(place.path);
    walked.disk.used = found.bytes;
    walked.disk.inodes_used = found.inodes;
    walked.took = clock_.steady() - now;
  }
  use.disk.used = walked.disk.used;
  use.disk.inodes_used = walked.disk.inodes_used;
  return use;
}

PodUse NodeReader::read_pod(const PodPlace& place, Depth depth) {
  PodUse use;
  use.place = place;
  use.cgroup = place.cgroup;
  read_group(use);
  pid_t inside = 0;
  for (const auto& container : place.containers) {
    use.containers.push_back(read_container(place, container, depth, inside));
  }
  if (inside != 0 && !place.host_network) {
    use.links = read_links(inside);
  }
  if (depth == Depth::disks) {
    for (const auto& volume : place.volumes) {
      use.volumes.push_back(read_volume(place, volume));
    }
    struct stat hosts{};
    if (::stat(place.hosts_file.c_str(), &hosts) == 0) {
      use.hosts_file = {.used = static_cast<uint64_t>(hosts.st_blocks) * 512, .inodes_used = 1};
    }
  }
  return use;
}

void NodeReader::read_machine(NodeUse& node) {
  const auto memory = read_file("/proc/meminfo").value_or("");
  node.memory_capacity = number_behind(memory, "MemTotal:") * 1024;
  node.swap_capacity = number_behind(memory, "SwapTotal:") * 1024;
  node.booted = WallTime(std::chrono::seconds(number_behind(read_file("/proc/stat").value_or(""), "btime ")));
  node.cpus = static_cast<unsigned>(::get_nprocs());
  std::tie(node.cores, node.sockets) = read_topology();
  node.block_devices = parse_block_devices(read_file("/proc/diskstats").value_or(""));
  const auto load = read_file("/proc/loadavg").value_or("");
  node.threads = number_behind(load, "/");
  node.most_threads = std::min(number_in("/proc/sys/kernel/pid_max"), number_in("/proc/sys/kernel/threads-max"));
  node.links = read_links(::getpid());
  // As cAdvisor: the node's ends of pods' links are the pods'.
  std::erase_if(node.links, [](const LinkUse& link) {
    return std::ranges::any_of(kPodLinks, [&](const char* prefix) { return link.name.starts_with(prefix); });
  });
}

NodeUse NodeReader::read(const NodePlaces& places, Depth depth) {
  ++turn_;
  NodeUse node;
  node.name = places.name;
  node.ids = places.ids;
  node.cgroup = "/";
  read_group(node);
  read_machine(node);
  node.disk = disk_of(places.root);
  node.images = places.images;
  if (!places.images_path.empty()) {
    node.images_apart = are_apart(places.images_path, places.root);
    if (node.images_apart) {
      const auto used = node.images.value_or(DiskUse());
      node.images = disk_of(places.images_path);
      node.images->used = used.used;
      node.images->inodes_used = used.inodes_used;
    }
  }
  for (const auto& place : places.system) {
    SystemUse use;
    use.name = place.name;
    use.cgroup = parse_cgroup(read_file(fmt::format("/proc/{}/cgroup", place.process)).value_or(""));
    if (!use.cgroup.empty()) {
      use.started = start_of(place.process, node.booted);
      read_group(use);
      node.system.push_back(std::move(use));
    }
  }
  for (const auto& cgroup : places.pod_cgroups) {
    auto& group = node.groups.emplace_back();
    group.cgroup = cgroup;
    read_group(group);
  }
  for (const auto& pod : places.pods) {
    node.pods.push_back(read_pod(pod, depth));
  }
  forget_gone();
  return node;
}

// A shallow reading looks at no volume, and a deep one may be a minute away.
void NodeReader::forget_gone() {
  std::erase_if(rates_, [this](const auto& entry) { return entry.second.turn != turn_; });
  const auto now = clock_.steady();
  std::erase_if(walked_,
                [&](const auto& entry) { return entry.second.turn != turn_ && now - entry.second.at > 2 * kWalk; });
}

}  // namespace keelson::metrics
