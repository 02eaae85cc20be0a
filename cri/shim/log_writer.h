// SPDX-License-Identifier: Apache-2.0
// A container's output as a CRI log: "<RFC3339Nano> <stdout|stderr> <P|F> <text>\n" (CRI, logging.md). Who writes
// rotates: no file ever grows past the limit by more than one line, and no line is lost between two files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/fd.h"

namespace keelson::cri::shim {

enum class Stream : uint8_t { out = 0, error = 1 };

/// One log file with the unfinished line of each stream. Not thread-safe.
class LogWriter {
 public:
  /// No path: everything is dropped. max_bytes 0: never rotated here.
  LogWriter(std::string path, uint64_t max_bytes, uint32_t max_files);

  /// Opens (appends to) the file; its folder is made. The file's mode is 0640.
  Result<> open();
  /// The same path again, after somebody has renamed the file (CRI ReopenContainerLog).
  Result<> reopen();

  /// Writes the whole lines in `data`; an unfinished line waits for its rest, or is cut into "P" pieces of 16 KiB. An
  /// error (disk full) loses the line and is returned; the next call tries again.
  Result<> write(Stream stream, std::string_view data, int64_t now_ns);
  /// Writes what waits, as a partial line: its stream has ended.
  Result<> finish(Stream stream, int64_t now_ns);

 private:
  Result<> line(Stream stream, std::string_view text, bool whole, int64_t now_ns);
  Result<> rotate(int64_t now_ns);

  std::string path_;
  uint64_t max_bytes_;
  uint32_t max_files_;
  Fd file_;
  uint64_t size_ = 0;
  std::string waiting_[2];
};

}  // namespace keelson::cri::shim
