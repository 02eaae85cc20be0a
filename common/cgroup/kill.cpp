// SPDX-License-Identifier: Apache-2.0
// kill.h over cgroup.procs, which lists no zombies.
#include "common/cgroup/kill.h"

#include <dirent.h>
#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <set>

#include "common/fd.h"

namespace keelson::cgroup {

namespace {

using Clock = std::chrono::steady_clock;

std::string folder_of(const std::string& file) {
  return file.substr(0, file.rfind('/'));
}

void add_members(const std::string& folder, std::set<pid_t>& members) {
  const auto text = read_file(folder + "/cgroup.procs").value_or("");
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    pid_t pid = 0;
    at = std::find(std::from_chars(at, end, pid).ptr, end, '\n') + 1;
    if (pid > 0 && pid != ::getpid()) {
      members.insert(pid);
    }
  }
  // Who may write its own cgroup can have made others below.
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(folder.c_str()), ::closedir);
  while (const auto* entry = listing ? ::readdir(listing.get()) : nullptr) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
      add_members(folder + "/" + entry->d_name, members);
    }
  }
}

std::set<pid_t> members_of(const std::vector<std::string>& procs) {
  std::set<pid_t> members;
  for (const auto& file : procs) {
    add_members(folder_of(file), members);
  }
  return members;
}

}  // namespace

void signal_members(const std::vector<std::string>& procs, int number) {
  for (const auto pid : members_of(procs)) {
    ::kill(pid, number);
  }
}

Result<> kill_members(const std::vector<std::string>& procs, std::chrono::milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  for (int pause = 1;; pause = std::min(pause * 2, 50)) {
    const auto members = members_of(procs);
    if (members.empty()) {
      return {};
    }
    if (Clock::now() >= deadline) {
      return fail(Kind::timeout, "{} processes of cgroup {} are not dead {} ms after SIGKILL, one of them is {}",
                  members.size(), folder_of(procs.front()), limit.count(), *members.begin());
    }
    for (const auto pid : members) {
      ::kill(pid, SIGKILL);
    }
    for (const auto& file : procs) {
      // Absent on v1 and before Linux 5.14; then the loop above is all there is.
      auto killed = write_value(folder_of(file) + "/cgroup.kill", "1");
      static_cast<void>(killed);
    }
    ::poll(nullptr, 0, pause);
  }
}

bool has_members(const std::vector<std::string>& procs) {
  return !members_of(procs).empty();
}

}  // namespace keelson::cgroup
