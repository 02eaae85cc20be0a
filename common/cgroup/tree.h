// SPDX-License-Identifier: Apache-2.0
// The node's cgroups as folders: one path names a folder in every hierarchy, v1, hybrid or v2 (cgroups(7)).
//
// With Driver::systemd the folders are units as well: a path's last part is a slice's name, or a scope's that child()
// has made. Whatever is set is then both a property of the unit and written into the kernel's file.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/cgroup/hierarchy.h"
#include "common/cgroup/hold.h"
#include "common/cgroup/limits.h"
#include "common/cgroup/unit_name.h"
#include "common/result.h"

namespace keelson::cgroup {

class Systemd;

/// What a cgroup has used. Counters since it was made; bytes unless named otherwise.
struct Usage {
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

/// What apply() does about a limit whose controller this node has not.
enum class Missing {
  refused,      ///< Kind::unsupported, and the file's name
  passed_over,  ///< no limit
};

/// Knows where the hierarchies are, and nothing else: all state is the kernel's. Thread-safe; copies are equal.
/// A path is relative to every hierarchy's root and begins with a slash: "/kubepods/pod1/<id>".
class Tree {
 public:
  /// The mounts of this process. Kind::unsupported if no hierarchy is among them, Kind::unavailable if systemd is to be
  /// asked and does not answer.
  static Result<Tree> open(Driver driver = Driver::cgroupfs);
  /// These, without systemd; with none every call is a success that does nothing.
  explicit Tree(std::vector<Hierarchy> hierarchies) : hierarchies_(std::move(hierarchies)) {}

  Driver driver() const { return systemd_ ? Driver::systemd : Driver::cgroupfs; }

  /// One v2 hierarchy and no v1 controllers.
  bool unified() const { return hierarchies_.size() == 1 && hierarchies_.front().second; }

  /// The cgroup of a group of processes named `id` below `parent`: "<parent>/<id>", or "<parent>/keelson-<id>.scope".
  std::string child(const std::string& parent, const std::string& id) const;
  /// Makes the folders, parents too, and hands every controller down to them (v2), or CPUs and memory nodes (v1's
  /// cpuset); then apply(). Already there is success, but for a scope: Kind::exists. A scope lives as long as somebody
  /// is inside: keep the Hold until the first has joined. Kind::invalid: what is no unit's name, with systemd.
  Result<Hold> create(const std::string& path, const Limits& limits = {}, Missing missing = Missing::refused) const;
  /// Removes the folders and empty ones below, and the unit. Absent is success; Kind::conflict while a process is
  /// inside.
  Result<> remove(const std::string& path) const;
  /// The same, after SIGKILL to whoever is inside; blocks for some seconds at most, while they die.
  Result<> kill_and_remove(const std::string& path) const;
  /// Removes the folders (and the unit) if nothing is in them, no folder either.
  void remove_if_empty(const std::string& path) const;

  /// Writes what is set. Swap and huge pages are left out silently where the kernel does not count them.
  Result<> apply(const std::string& path, const Limits& limits, Missing missing = Missing::refused) const;
  /// All devices but `allowed` ("c 10:200 rwm", "a" for all; devices.allow of the kernel's cgroup-v1/devices.rst) are
  /// out of reach: by the controller of v1, or by a BPF program on v2; and by systemd, where it makes the cgroups.
  Result<> confine_devices(const std::string& path, const std::vector<std::string>& allowed) const;

  /// The files that a single-threaded process joins by writing "0", one a hierarchy; v2's last name is cgroup.procs.
  std::vector<std::string> procs_files(const std::string& path) const;
  /// True while a process is in it or below it; zombies do not count.
  bool populated(const std::string& path) const;
  /// Stops every process inside, or lets them go on. Blocks until they have stopped, for `limit` at most: then
  /// Kind::timeout, and they are as they were. Kind::unsupported without a freezer.
  Result<> freeze(const std::string& path, std::chrono::milliseconds limit = std::chrono::seconds(2)) const;
  Result<> thaw(const std::string& path) const;

  /// How many processes the kernel has killed inside for want of memory; 0 if it is not there.
  uint64_t oom_kills(const std::string& path) const;
  /// What is not there or not counted is 0.
  Usage usage(const std::string& path) const;

 private:
  /// Where one controller governs a path.
  struct Place {
    std::string dir;      ///< empty: nowhere
    bool second = false;  ///< by v2's files
  };
  Place place(std::string_view controller, const std::string& path) const;
  Result<> limit_cpu(const std::string& path, const Limits& limits, Missing missing) const;
  Result<> limit_memory(const std::string& path, const Limits& limits, Missing missing) const;
  Result<> limit_huge_pages(const std::string& path, const Limits& limits) const;
  Result<> apply_unified(const std::string& path, const Limits& limits) const;

  Result<> make_folders(const std::string& path) const;
  Result<Hold> start_unit(const std::string& path, const Limits& limits) const;
  Result<> occupy(const std::string& path, const Hold& hold) const;
  Result<> set_unit(const std::string& path, const Limits& limits) const;
  Result<> write(const std::string& path, const Limits& limits, Missing missing) const;

  std::vector<Hierarchy> hierarchies_;
  std::shared_ptr<const Systemd> systemd_;  ///< null with Driver::cgroupfs
};

}  // namespace keelson::cgroup
