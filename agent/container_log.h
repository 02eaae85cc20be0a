// SPDX-License-Identifier: Apache-2.0
// Reading the logs that a CRI runtime writes: "<RFC 3339 with ns> stdout|stderr F|P <text>".
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agent/log_watcher.h"
#include "common/clock.h"
#include "common/fd.h"
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

/// A log file from its beginning on, or from its last lines; a piece at a time, so that neither memory nor the thread
/// is taken for long however large it is. What is written meanwhile is read, too. Belongs to one thread.
class LogReader {
 public:
  /// Kind::not_found; invalid: it is no file.
  static Result<LogReader> open(const std::string& path, LogOptions options);

  /// The last lines of a log (at least one), of no more than its last 64 KiB. Kind::not_found; invalid: it is no file.
  static Result<std::string> last_lines(const std::string& path, size_t lines);

  struct Piece {
    std::string text;  ///< May be empty though more comes: all of it was filtered out.
    bool end = false;  ///< Nothing more is there now, or the options want no more.
  };
  /// Reads at most 64 KiB, or looks at as much for where the last lines begin. A line that is not whole yet waits for
  /// its rest.
  Result<Piece> next();
  /// What waits, as a line: nobody will write its rest.
  std::string take_rest();
  /// Another file has this path by now.
  bool was_moved_from(const std::string& path) const;
  /// Reads that file from here on. Kind::not_found.
  Result<> go_on_in(const std::string& path);
  /// limit_bytes has been reached.
  bool full() const { return filter_.full(); }

 private:
  struct Opened {
    Fd fd;
    ino_t inode = 0;
    off_t size = 0;
  };
  static Result<Opened> open_file(const std::string& path);
  LogReader(Opened file, LogOptions options);
  Result<> seek();

  Opened file_;
  off_t at_ = 0;
  off_t searched_ = 0;            // from here on line ends were counted
  std::optional<size_t> wanted_;  // how many are to be found before it; none: at_ is known
  LogFilter filter_;
  std::string pending_;
};

/// Asked to take text; it may wait for a slow reader.
using LogSink = std::function<Task<>(std::string)>;

/// Gives `before` and the rest of a log to `sink`, to its end as it is then.
Task<> show_log(std::string before, LogReader reader, LogSink sink);

/// The first `limit` bytes of a file.
Result<std::string> read_head(const std::string& path, size_t limit);

/// How many attempts the logs of one container's folder speak of: one more than the greatest number N of the files
/// "N.log" and "N.log.<rotation>"; 0 if there are none (kubelet calcRestartCountByLogDir).
uint32_t count_logs(const std::string& folder);

/// Shows a log as it grows, over rotations (the file is renamed and made anew), until `ended` says that nothing more
/// will come and all of it was shown, or `sink` answers an error.
struct LogFollow {
  std::string path;
  LogOptions options;
  /// Asked again after each event of `watch`; whoever knows of an end otherwise pokes it.
  std::function<Task<bool>()> ended;
  LogSink sink;
  std::unique_ptr<LogWatcher::Watch> watch;  ///< on `path`, made before the first look
};
Task<> follow_log(LogFollow what);

}  // namespace keelson::agent
