// SPDX-License-Identifier: Apache-2.0
// File descriptors that close themselves, and whole reads and writes on them.
#pragma once

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <utility>

#include "common/result.h"

namespace keelson {

/// Owns one file descriptor; closes it on destruction. Move-only. Empty is -1.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset(std::exchange(other.fd_, -1));
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  /// Gives the descriptor away; the caller closes it.
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1) {
    if (fd_ >= 0) {
      ::close(fd_);
    }
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

/// open(2) with O_CLOEXEC added. The error names the path.
Result<Fd> open_file(const std::string& path, int flags, mode_t mode = 0644);

/// openat2(2) below `root`, with O_CLOEXEC added: ".." and symlinks cannot leave it (RESOLVE_IN_ROOT, no magic links).
Result<Fd> open_in_root(int root, const std::string& path, int flags, mode_t mode = 0);

/// A duplicate with close-on-exec.
Result<Fd> duplicate(int fd);

/// Reads to the end of file. More than `limit` bytes is Kind::exhausted. Works on /proc and cgroupfs, whose size is 0.
Result<std::string> read_all(int fd, size_t limit = 64 << 20);
/// The same from a path; not_found if it is absent.
Result<std::string> read_file(const std::string& path, size_t limit = 64 << 20);

/// Writes all of it, over short writes and EINTR.
Result<> write_all(int fd, std::string_view data);
/// One write(2) into an existing file, for sysctls and cgroup files; the error names path and value.
Result<> write_value(const std::string& path, std::string_view value);

/// mkdir -p. An existing directory is success and keeps its mode.
Result<> make_directories(const std::string& path, mode_t mode = 0755);

/// The same with mode 0700, which an existing directory gets, too: nobody but its owner goes below it.
Result<> make_private_directory(const std::string& path);

/// rm -rf that never crosses into another mount and never follows a symlink, however deep folders are nested. Absent is
/// success.
Result<> remove_tree(const std::string& path);

}  // namespace keelson
