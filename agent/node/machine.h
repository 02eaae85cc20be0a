// SPDX-License-Identifier: Apache-2.0
// What this machine is, what it has, and how much of that is left: read from /proc, /sys and /etc.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace keelson::agent {

/// What cannot be read is empty or 0.
struct Machine {
  std::string machine_id;   ///< /etc/machine-id
  std::string system_uuid;  ///< DMI's, in lower case; without: machine_id
  std::string boot_id;
  std::string kernel_version;
  std::string os_image;      ///< PRETTY_NAME of os-release
  std::string architecture;  ///< As Go names it: "amd64", "arm64".
  int64_t cpus = 0;          ///< Online.
  int64_t memory = 0;        ///< Bytes, as all that follow.
  int64_t swap = 0;
  std::map<int64_t, int64_t> huge_pages;  ///< Of each size of a page, how much is set aside.
  int64_t storage = 0;                    ///< Size of the file system that holds the state folder.

  // What is left.
  int64_t memory_available = 0;  ///< memory - working set of all processes, as the kubelet counts.
  int64_t storage_available = 0;
  int64_t inodes = 0;
  int64_t inodes_free = 0;
  int64_t processes = 0;  ///< The most there may be; 0: unknown.
  int64_t processes_available = 0;
  bool operator==(const Machine&) const = default;
};

/// `root` is put before the paths of /proc, /sys and /etc: "" for this machine, a folder for a test. `state_dir` is
/// taken as it is. Blocks on the disk, for ever where `state_dir` is on a dead network file system.
Machine read_machine(const std::string& root, const std::string& state_dir);
/// Of it, what stays while it runs: its ids, kernel, os_image and architecture. Does not block.
Machine read_identity(const std::string& root);

}  // namespace keelson::agent
