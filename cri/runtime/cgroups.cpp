// SPDX-License-Identifier: Apache-2.0
// cgroups.h: the tree's folders.
#include "cri/runtime/cgroups.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <sstream>

#include "common/fd.h"

namespace keelson::cri {

namespace {

std::vector<std::string> words(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) {
    if (!part.empty()) {
      parts.push_back(part);
    }
  }
  return parts;
}

// A new v1 cpuset has no CPUs, and nobody can join it: it takes its parent's.
void inherit_cpuset(const std::string& parent, const std::string& dir) {
  for (const char* name : {"/cpuset.cpus", "/cpuset.mems"}) {
    const auto own = read_file(dir + name).value_or("x");
    if (own.empty() || own == "\n") {
      if (const auto theirs = read_file(parent + name)) {
        auto written = write_value(dir + name, theirs->substr(0, theirs->find('\n')));
        static_cast<void>(written);  // joining will fail and say so
      }
    }
  }
}

// v2: what the children are to have, the parent must hand down.
void hand_down(const std::string& dir) {
  const auto all = words(read_file(dir + "/cgroup.controllers").value_or(""), ' ');
  for (auto controller : all) {
    std::erase(controller, '\n');
    auto written = write_value(dir + "/cgroup.subtree_control", "+" + controller);
    static_cast<void>(written);  // a limit that needs it will fail and name it
  }
}

Result<> remove_folder(const std::string& dir) {
  if (::rmdir(dir.c_str()) == 0 || errno == ENOENT) {
    return {};
  }
  const int reason = errno;
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(dir.c_str()), ::closedir);
  while (const auto* entry = listing ? ::readdir(listing.get()) : nullptr) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
      KEELSON_DO(remove_folder(dir + "/" + entry->d_name));
    }
  }
  if (::rmdir(dir.c_str()) != 0 && errno != ENOENT) {
    return fail_errno(reason, "remove cgroup {}", dir);
  }
  return {};
}

Result<> make_folder(const std::string& root, const std::string& path, bool cpuset, bool second) {
  std::string dir = root;
  for (const auto& part : words(path, '/')) {
    const auto parent = dir;
    dir += "/" + part;
    if (::access(dir.c_str(), F_OK) == 0) {
      continue;
    }
    if (second) {
      hand_down(parent);
    }
    if (::mkdir(dir.c_str(), 0755) != 0 && errno != EEXIST) {
      return fail_errno(errno, "make cgroup {}", dir);
    }
    if (cpuset) {
      inherit_cpuset(parent, dir);
    }
  }
  return {};
}

bool has(const std::vector<std::string>& list, std::string_view item) {
  return std::ranges::find(list, item) != list.end();
}

}  // namespace

Result<Cgroups> Cgroups::open() {
  Cgroups cgroups;
  KEELSON_TRY(const auto text, read_file("/proc/self/mountinfo"));
  for (const auto& line : words(text, '\n')) {
    // id parent device root MOUNT options ... - TYPE source SUPER-OPTIONS (proc_pid_mountinfo(5))
    const auto fields = words(line, ' ');
    const auto dash = std::ranges::find(fields, "-");
    if (fields.size() < 5 || fields.end() - dash < 4) {
      continue;
    }
    const auto& type = dash[1];
    if (type == "cgroup2") {
      cgroups.hierarchies_.push_back({.root = fields[4], .controllers = {}, .second = true});
    } else if (type == "cgroup") {
      cgroups.hierarchies_.push_back({.root = fields[4], .controllers = words(dash[3], ','), .second = false});
    }
  }
  if (cgroups.hierarchies_.empty()) {
    return fail(Kind::unsupported, "no cgroup hierarchy is mounted; mount one at /sys/fs/cgroup");
  }
  return cgroups;
}

bool Cgroups::unified() const {
  return hierarchies_.size() == 1 && hierarchies_.front().second;
}

std::string Cgroups::parent_path(const std::string& cgroup_parent, const std::string& fallback) {
  constexpr std::string_view kSlice = ".slice";
  auto path = cgroup_parent.empty() ? fallback : cgroup_parent;
  if (path.ends_with(kSlice) && path.find('/') == std::string::npos) {
    const auto name = path.substr(0, path.size() - kSlice.size());
    std::string nested;
    for (size_t dash = name.find('-'); dash != std::string::npos; dash = name.find('-', dash + 1)) {
      nested += "/" + name.substr(0, dash) + std::string(kSlice);
    }
    return nested + "/" + path;
  }
  return path.starts_with('/') ? path : "/" + path;
}

Result<> Cgroups::create(const std::string& path) const {
  for (const auto& hierarchy : hierarchies_) {
    const bool cpuset = has(hierarchy.controllers, "cpuset");
    auto made = make_folder(hierarchy.root, path, cpuset, hierarchy.second);
    if (!made && made.error().kind() == Kind::not_found) {
      // The parent was removed as empty by the end of its last sandbox, just now.
      made = make_folder(hierarchy.root, path, cpuset, hierarchy.second);
    }
    KEELSON_DO(std::move(made));
  }
  return {};
}

std::vector<std::string> Cgroups::procs_files(const std::string& path) const {
  std::vector<std::string> files;
  for (const auto& hierarchy : hierarchies_) {
    // A thread that moves itself by "tasks" does not wait for the RCU grace period (10 ms) that a move by cgroup.procs
    // costs.
    files.push_back(hierarchy.root + path + (hierarchy.second ? "/cgroup.procs" : "/tasks"));
  }
  return files;
}

Result<> Cgroups::remove(const std::string& path) const {
  for (const auto& hierarchy : hierarchies_) {
    KEELSON_DO(remove_folder(hierarchy.root + path));
  }
  return {};
}

void Cgroups::remove_if_empty(const std::string& path) const {
  for (const auto& hierarchy : hierarchies_) {
    ::rmdir((hierarchy.root + path).c_str());
  }
}

std::string Cgroups::folder(std::string_view controller, const std::string& path) const {
  for (const auto& hierarchy : hierarchies_) {
    if (!hierarchy.second && has(hierarchy.controllers, controller)) {
      return hierarchy.root + path;
    }
  }
  return {};
}

}  // namespace keelson::cri
