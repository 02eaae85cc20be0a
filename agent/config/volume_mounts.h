// SPDX-License-Identifier: Apache-2.0
// What is mounted for volumes, and found again in the mount table.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/result.h"

namespace keelson::agent {

/// Mount points at or below `folder`, deepest first.
Result<std::vector<std::string>> mounts_below(const std::string& folder);

Result<bool> is_mount_point(const std::string& path);

/// Unmounts what is mounted at or below `folder`, and removes it: never deletes through a mount. Absent is success.
Result<> unmount_and_remove(const std::string& folder);

/// A tmpfs of `size` bytes (0: half of the machine's memory) on `folder`, which is made; on no swap where the kernel
/// can do that (Linux 6.3). False: something is mounted there already.
Result<bool> mount_memory(const std::string& folder, int64_t size);

/// The same with huge pages of `page_size` bytes. The machine may have none of that size.
Result<bool> mount_huge_pages(const std::string& folder, int64_t page_size);

/// Whether the file system that `path` is on keeps SELinux labels (its mount has the option seclabel).
Result<bool> keeps_labels(const std::string& path);
/// The same by a table of mounts (proc_pid_mountinfo(5)).
bool keeps_labels(const std::string& table, const std::string& path);

}  // namespace keelson::agent
