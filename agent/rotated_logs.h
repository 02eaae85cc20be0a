// SPDX-License-Identifier: Apache-2.0
// The files of one container's log: <n>.log, which the runtime writes, and older ones beside it, as the kubelet names
// them (pkg/kubelet/logs/container_log_manager.go):
//
//   0.log   0.log.20260131-235959   0.log.20260131-225959.gz ...
//
// The newest of the older ones is not compressed yet: who ships logs may still read it. All block on the disk.
#pragma once

#include <string>
#include <vector>

#include "common/clock.h"
#include "common/result.h"

namespace keelson::agent {

/// Before a rotation: what an interrupted one has left goes, then the oldest files, until there is room for two more of
/// `max_files`; the rest is compressed.
Result<> tidy_rotated_logs(const std::string& log, int max_files);

/// Its new name: the log's with the local time behind. Whoever writes to it has to be told to open it anew.
Result<std::string> move_log_aside(const std::string& log, WallTime now);
/// Undoes that, if nobody has made the log anew.
Result<> move_log_back(const std::string& moved, const std::string& log);

/// A log that nobody reads any more goes with all older files of it. Absent is success.
Result<> remove_logs(const std::string& log);

/// Replaces `file` by `file`.gz, which appears when it is whole, with the same mode.
Result<> compress_log(const std::string& file);

}  // namespace keelson::agent
