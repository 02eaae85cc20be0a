// SPDX-License-Identifier: Apache-2.0
// Disks and the file systems on them, by the programs of util-linux (k8s.io/mount-utils SafeFormatAndMount).
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/process.h"

namespace keelson::storage {

/// Runs a program: run_command(), but for tests.
using Runner = std::function<Result<CommandOutput>(const Command&)>;

struct DiskMount {
  std::string device;
  std::string target;                ///< a folder, which is there
  std::string fs_type;               ///< empty: ext4
  std::vector<std::string> options;  ///< of mount(8); "ro" among them: the disk is not written
};

/// What blkid(8) has told of a disk: its file system; "unknown data, probably partitions" of one with a partition
/// table; empty: nothing is on it.
Result<std::string> format_of(const CommandOutput& blkid);

/// Makes a file system on an empty disk, has one that is there checked and mended, and mounts it. What is on a disk is
/// never formatted. Blocks, for as long as a disk takes; thread-safe. Errors are the kubelet's.
Result<> format_and_mount(const DiskMount& wanted, const Runner& run);

/// Makes the file system on a disk, which is mounted at `mount_path`, as large as the disk (k8s.io/mount-utils
/// ResizeFs): ext3, ext4, xfs and btrfs can. Nothing is on the disk: nothing is done. Blocks, as above.
Result<> grow_file_system(const std::string& device, const std::string& mount_path, const Runner& run);

}  // namespace keelson::storage
