// SPDX-License-Identifier: Apache-2.0
// Cgroups of sandboxes and containers: <parent>/<id> in every hierarchy, v1, hybrid or v2.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/result.h"
#include "cri/proto/api.pb.h"

namespace keelson::cri {

/// What a cgroup has used. Counters since it was made; bytes unless named otherwise.
struct CgroupUsage {
  uint64_t cpu_nanoseconds = 0;
  uint64_t memory = 0;
  uint64_t memory_limit = 0;  ///< 0: none
  uint64_t working_set = 0;   ///< memory without inactive file pages, as the kubelet counts
  uint64_t anonymous = 0;     ///< rss
  uint64_t page_faults = 0;
  uint64_t major_page_faults = 0;
  uint64_t processes = 0;
  uint64_t swap = 0;
};

/// The node's cgroup tree. Reads the mounts once; then only paths. Thread-safe.
/// A path is relative to every hierarchy's root: "/kubepods/pod1/<id>".
class Cgroups {
 public:
  /// Kind::unsupported if no cgroup hierarchy is mounted.
  static Result<Cgroups> open();

  /// One v2 hierarchy and no v1 controllers.
  bool unified() const;
  /// The client's cgroup_parent as a path. A systemd slice name becomes its nested path: "a-b.slice" ->
  /// "/a.slice/a-b.slice".
  static std::string parent_path(const std::string& cgroup_parent, const std::string& fallback);

  /// Makes the folders, parents too. Already there is success.
  Result<> create(const std::string& path) const;
  /// Writes what is set (zero and empty mean "leave"); a limit of a controller that is not there is Kind::unsupported
  /// and names it. Swap and hugepages are left out silently where the kernel does not count them.
  Result<> apply(const std::string& path, const ::runtime::v1::LinuxContainerResources& resources) const;
  /// On v1 only: all devices but the usual ones (null, zero, full, random, urandom, tty, ptmx, pts, mknod of any) and
  /// `allowed`
  /// ("c 10:200 rwm") are out of reach.
  Result<> confine_devices(const std::string& path, const std::vector<std::string>& allowed) const;
  /// The files that a single-threaded process joins by writing "0", one a hierarchy; v2's last name is cgroup.procs.
  std::vector<std::string> procs_files(const std::string& path) const;
  /// Removes the folders and empty ones below. Absent is success; Kind::conflict while a process is inside.
  Result<> remove(const std::string& path) const;
  /// Removes the folders if nothing is in them, as after the last sandbox of a parent that is ours.
  void remove_if_empty(const std::string& path) const;

  /// How many processes the kernel has killed inside for want of memory.
  uint64_t oom_kills(const std::string& path) const;
  CgroupUsage usage(const std::string& path) const;

 private:
  struct Hierarchy {
    std::string root;                      ///< where it is mounted
    std::vector<std::string> controllers;  ///< v1; empty on v2
    bool second = false;
  };
  Cgroups() = default;
  /// The folder that `controller` governs `path` by; empty if nothing does.
  std::string folder(std::string_view controller, const std::string& path) const;
  Result<> apply_v1(const std::string& path, const ::runtime::v1::LinuxContainerResources& resources) const;
  Result<> apply_v2(const std::string& path, const ::runtime::v1::LinuxContainerResources& resources) const;
  Result<> limit_memory_v1(const std::string& path, const ::runtime::v1::LinuxContainerResources& resources) const;

  std::vector<Hierarchy> hierarchies_;
};

/// cpu.weight for cpu.shares, by the curve that runc 1.3.2 and crun 1.23 use: 1024 shares are 100. 0 for 0.
uint64_t cpu_weight_of_shares(int64_t shares);

}  // namespace keelson::cri
