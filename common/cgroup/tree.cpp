// SPDX-License-Identifier: Apache-2.0
// tree.h: folders.
#include "common/cgroup/tree.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "common/cgroup/kill.h"
#include "common/cgroup/systemd.h"
#include "common/fd.h"

namespace keelson::cgroup {

namespace {

constexpr int kRemovals = 30;

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

// A file of names with spaces between, and a new line at the end.
std::vector<std::string> names_in(const std::string& path) {
  auto text = read_file(path).value_or("");
  std::ranges::replace(text, '\n', ' ');
  return words(text, ' ');
}

// v2: what the children are to have, the parent must hand down.
void hand_down(const std::string& dir) {
  const auto given = names_in(dir + "/cgroup.subtree_control");
  for (const auto& controller : names_in(dir + "/cgroup.controllers")) {
    if (std::ranges::find(given, controller) != given.end()) {
      continue;
    }
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

Result<> make_folder(const Hierarchy& hierarchy, const std::string& path) {
  const bool cpuset = std::ranges::find(hierarchy.controllers, "cpuset") != hierarchy.controllers.end();
  std::string dir = hierarchy.root;
  for (const auto& part : words(path, '/')) {
    const auto parent = dir;
    dir += "/" + part;
    if (hierarchy.second) {
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

bool has_folder(const std::string& dir) {
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(dir.c_str()), ::closedir);
  while (const auto* entry = listing ? ::readdir(listing.get()) : nullptr) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
      return true;
    }
  }
  return false;
}

}  // namespace

Result<Tree> Tree::open(Driver driver) {
  KEELSON_TRY(const auto mounts, read_file("/proc/self/mountinfo"));
  auto hierarchies = parse_hierarchies(mounts);
  if (hierarchies.empty()) {
    return fail(Kind::unsupported, "no cgroup hierarchy is mounted; mount one at /sys/fs/cgroup");
  }
  Tree tree(std::move(hierarchies));
  if (driver == Driver::systemd) {
    KEELSON_TRY(auto systemd, Systemd::connect());
    tree.systemd_ = std::make_shared<const Systemd>(std::move(systemd));
  }
  return tree;
}

std::string Tree::child(const std::string& parent, const std::string& id) const {
  return systemd_ ? fmt::format("{}/keelson-{}.scope", parent, id) : parent + "/" + id;
}

Result<Hold> Tree::create(const std::string& path, const Limits& limits, Missing missing) const {
  Hold hold;
  if (systemd_) {
    KEELSON_TRY(hold, start_unit(path, limits));
  }
  KEELSON_DO(make_folders(path));
  if (hold.pid() > 0) {
    KEELSON_DO(occupy(path, hold));
  }
  KEELSON_DO(write(path, systemd_ ? rounded_for_systemd(limits) : limits, missing));
  return hold;
}

Result<> Tree::make_folders(const std::string& path) const {
  if ((path + "/").find("/../") != std::string::npos) {
    return fail(Kind::invalid, "cgroup {}: it must not leave the tree", path);
  }
  for (const auto& hierarchy : hierarchies_) {
    auto made = make_folder(hierarchy, path);
    if (!made && made.error().kind() == Kind::not_found) {
      // The parent was removed as empty by the end of its last child, just now.
      made = make_folder(hierarchy, path);
    }
    KEELSON_DO(std::move(made));
  }
  return {};
}

Result<> Tree::remove(const std::string& path) const {
  if (systemd_) {
    if (populated(path)) {
      return fail(Kind::conflict, "remove cgroup {}: a process is inside", path);
    }
    KEELSON_DO(systemd_->stop(unit_of(path)));
  }
  for (const auto& hierarchy : hierarchies_) {
    KEELSON_DO(remove_folder(hierarchy.root + path));
  }
  return {};
}

Result<> Tree::kill_and_remove(const std::string& path) const {
  auto removed = remove(path);
  for (int attempt = 0; attempt < kRemovals && !removed && removed.error().kind() == Kind::conflict; ++attempt) {
    // Killed just now and on their way out, or forked by one who was.
    KEELSON_DO(kill_members(procs_files(path)));
    std::this_thread::sleep_for(std::chrono::milliseconds(attempt));
    removed = remove(path);
  }
  return removed;
}

void Tree::remove_if_empty(const std::string& path) const {
  if (systemd_) {
    const bool empty =
        std::ranges::none_of(hierarchies_, [&](const auto& hierarchy) { return has_folder(hierarchy.root + path); });
    if (empty && !populated(path)) {
      auto removed = remove(path);
      static_cast<void>(removed);  // it is left for the next time
    }
    return;
  }
  for (const auto& hierarchy : hierarchies_) {
    ::rmdir((hierarchy.root + path).c_str());
  }
}

std::vector<std::string> Tree::procs_files(const std::string& path) const {
  std::vector<std::string> files;
  for (const auto& hierarchy : hierarchies_) {
    // A thread that moves itself by "tasks" does not wait for the RCU grace period (10 ms) that a move by cgroup.procs
    // costs.
    files.push_back(hierarchy.root + path + (hierarchy.second ? "/cgroup.procs" : "/tasks"));
  }
  return files;
}

bool Tree::populated(const std::string& path) const {
  return has_members(procs_files(path));
}

Tree::Place Tree::place(std::string_view controller, const std::string& path) const {
  const Hierarchy* second = nullptr;
  for (const auto& hierarchy : hierarchies_) {
    if (hierarchy.second) {
      second = &hierarchy;
    } else if (std::ranges::find(hierarchy.controllers, controller) != hierarchy.controllers.end()) {
      return {.dir = hierarchy.root + path};
    }
  }
  return second == nullptr ? Place() : Place{.dir = second->root + path, .second = true};
}

}  // namespace keelson::cgroup
