// SPDX-License-Identifier: Apache-2.0
// mkdir, rmdir and a few files of cgroupfs.
#include "agent/config/pod_cgroups.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <thread>

#include "common/fd.h"

namespace keelson::agent {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kLeastShares = 2;

/// One value, only where the file is (a controller may be missing).
Result<> set(const std::string& path, const std::string& value) {
  auto written = write_value(path, value);
  if (!written && written.error().kind() == Kind::not_found) {
    return {};
  }
  return written;
}

/// v1's cpuset is empty in a new cgroup, and nothing can run in it then.
Result<> inherit_cpuset(const std::string& folder) {
  for (const char* file : {"cpuset.cpus", "cpuset.mems"}) {
    auto own = read_file(folder + "/" + file);
    if (!own || own->size() > 1) {
      continue;
    }
    KEELSON_TRY(auto parent, read_file(fs::path(folder).parent_path().string() + "/" + file));
    KEELSON_DO(set(folder + "/" + file, parent.substr(0, parent.find('\n'))));
  }
  return {};
}

/// runc's curve from shares to weight (1 CPU is 100).
int64_t weight_of(int64_t shares) {
  if (shares <= kLeastShares) {
    return 1;
  }
  double l = std::log2(static_cast<double>(shares));
  return std::clamp<int64_t>(static_cast<int64_t>(std::ceil(std::pow(10, (l * l + 125 * l) / 612.0 - 7.0 / 34.0))), 1,
                             10'000);
}

/// Every process in the folder or below it.
void kill_all(const std::string& folder) {
  std::error_code ignored;
  for (auto it = fs::recursive_directory_iterator(folder, ignored); it != fs::recursive_directory_iterator();
       it.increment(ignored)) {
    if (it->is_directory(ignored)) {
      kill_all(it->path());
      it.disable_recursion_pending();
    }
  }
  if (auto text = read_file(folder + "/cgroup.procs")) {
    for (size_t at = 0; at < text->size(); at = std::min(text->find('\n', at), text->size()) + 1) {
      if (auto pid = std::atoi(text->c_str() + at); pid > 1) {
        ::kill(pid, SIGKILL);
      }
    }
  }
}

/// rmdir from the leaves up.
Result<> remove_folder(const std::string& folder) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.is_directory(ignored)) {
      KEELSON_DO(remove_folder(entry.path()));
    }
  }
  if (::rmdir(folder.c_str()) == 0 || errno == ENOENT) {
    return {};
  }
  return fail_errno(errno, "remove cgroup {}", folder);
}

}  // namespace

PodCgroups::PodCgroups(std::string mount)
    : mount_(std::move(mount)), unified_(fs::exists(mount_ + "/cgroup.controllers")) {
  if (unified_) {
    trees_ = {mount_};
    return;
  }
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(mount_, ignored)) {
    // Links such as cpu,cpuacct name trees that are there already. The tree named systemd is one of them: the runtime
    // puts containers into every tree.
    if (entry.is_directory(ignored) && !entry.is_symlink(ignored) && fs::exists(entry.path() / "cgroup.procs")) {
      trees_.push_back(entry.path());
    }
  }
}

Result<> PodCgroups::make(const std::string& path) const {
  for (const auto& tree : trees_) {
    std::string folder = tree;
    for (size_t at = 1; at <= path.size();) {
      auto slash = std::min(path.find('/', at), path.size());
      if (unified_) {
        // What is to be controlled below must be named here; a controller that is not there is passed over.
        for (const char* controller : {"+cpu", "+memory", "+pids", "+cpuset", "+io", "+hugetlb"}) {
          if (auto enabled = set(folder + "/cgroup.subtree_control", controller); !enabled) {
            continue;
          }
        }
      }
      folder = tree + path.substr(0, slash);
      if (::mkdir(folder.c_str(), 0755) < 0 && errno != EEXIST) {
        return fail_errno(errno, "make cgroup {}", folder);
      }
      if (tree.ends_with("/cpuset")) {
        KEELSON_DO(inherit_cpuset(folder));
      }
      at = slash + 1;
    }
  }
  return {};
}

Result<> PodCgroups::create_root(const std::string& root) const {
  auto top = (root == "/" ? "" : root) + "/kubepods";
  KEELSON_DO(make(top + "/burstable"));
  return make(top + "/besteffort");
}

Result<> PodCgroups::create(const std::string& path, const PodLimits& limits) const {
  KEELSON_DO(make(path));
  KEELSON_DO(set_shares(path, limits.cpu_shares));
  if (auto parent = path.substr(0, path.rfind('/')); parent.ends_with("/besteffort")) {
    KEELSON_DO(set_shares(parent, kLeastShares));
  }
  if (unified_) {
    std::string folder = mount_ + path;
    KEELSON_DO(
        set(folder + "/cpu.max", limits.cpu_quota > 0 ? fmt::format("{} {}", limits.cpu_quota, kCpuPeriod) : "max"));
    return set(folder + "/memory.max", limits.memory_limit > 0 ? std::to_string(limits.memory_limit) : "max");
  }
  KEELSON_DO(
      set(mount_ + "/cpu" + path + "/cpu.cfs_quota_us", std::to_string(limits.cpu_quota > 0 ? limits.cpu_quota : -1)));
  return set(mount_ + "/memory" + path + "/memory.limit_in_bytes",
             std::to_string(limits.memory_limit > 0 ? limits.memory_limit : -1));
}

Result<> PodCgroups::set_shares(const std::string& path, int64_t shares) const {
  return unified_ ? set(mount_ + path + "/cpu.weight", std::to_string(weight_of(shares)))
                  : set(mount_ + "/cpu" + path + "/cpu.shares", std::to_string(shares));
}

Result<> PodCgroups::set_burstable(const std::string& root, int64_t cpu_shares) const {
  return set_shares((root == "/" ? "" : root) + "/kubepods/burstable", cpu_shares);
}

Result<> PodCgroups::remove(const std::string& path) const {
  Result<> outcome;
  for (const auto& tree : trees_) {
    std::string folder = tree + path;
    outcome = remove_folder(folder);
    // The runtime has ended the pod's processes; what is left is dying or a stray.
    for (int attempt = 0; !outcome && attempt < 50; ++attempt) {
      kill_all(folder);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      outcome = remove_folder(folder);
    }
    if (!outcome) {
      return outcome;
    }
  }
  return outcome;
}

void PodCgroups::remove_root(const std::string& root) const {
  for (const auto& tree : trees_) {
    for (const char* below : {"/kubepods/burstable", "/kubepods/besteffort", "/kubepods", ""}) {
      if (auto folder = tree + (root == "/" ? "" : root) + below; folder != tree) {
        ::rmdir(folder.c_str());
      }
    }
  }
}

}  // namespace keelson::agent
