// SPDX-License-Identifier: Apache-2.0
// Reading the logs that a CRI runtime writes: "<RFC 3339 with ns> stdout|stderr F|P <text>".
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agent/log_watcher.h"
#include "common/clock.h"
#include "common/loop.h"
#include "common/result.h"

namespace keelson::agent {

/// kubectl logs' own (core/v1 PodLogOptions).
struct LogOptions {
  std::optional<size_t> tail_lines;
  std::optional<WallTime> since;      ///< Only lines of this time or later.
  std::optional<size_t> limit_bytes;  ///< The text ends within a line if need be.
  bool timestamps = false;
  std::string stream = {};  ///< "stdout" or "stderr" alone; empty: both.
};

/// Strips the CRI prefix of a line, joins parts ("P" without a line end), and keeps to the options, across calls.
class LogFilter {
 public:
  explicit LogFilter(LogOptions options) : options_(std::move(options)) {}
  /// What to show of one line (with its "\n"); a line that is no CRI line is shown as it is.
  std::string show(std::string_view line);
  /// limit_bytes has been reached.
  bool full() const { return options_.limit_bytes && shown_ >= *options_.limit_bytes; }

 private:
  LogOptions options_;
  size_t shown_ = 0;
  bool inside_ = false;  // the last line shown was a part
};

/// Where in a file's text the last `lines` lines begin (parts count as lines of their own).
size_t tail_offset(std::string_view text, size_t lines);

/// A whole log file as text, at most its last 16 MiB. not_found if it is absent.
Result<std::string> read_log(const std::string& path, const LogOptions& options);

/// The first `limit` bytes of a file.
Result<std::string> read_head(const std::string& path, size_t limit);

/// How many attempts the logs of one container's folder speak of: one more than the greatest number N of the files
/// "N.log" and "N.log.<rotation>"; 0 if there are none (kubelet calcRestartCountByLogDir).
uint32_t count_logs(const std::string& folder);

/// Shows a log as it grows, over rotations (the file is renamed and made anew), until `ended` says that nothing more
/// will come and all of it was shown, or `sink` answers false. `sink` is asked to take text; it may wait for a slow
/// reader.
struct LogFollow {
  std::string path;
  LogOptions options;
  /// Asked again after each event of `watch`; whoever knows of an end otherwise pokes it.
  std::function<Task<bool>()> ended;
  std::function<Task<>(std::string)> sink;
  std::unique_ptr<LogWatcher::Watch> watch;  ///< on `path`, made before the first look
};
Task<> follow_log(LogFollow what);

}  // namespace keelson::agent
