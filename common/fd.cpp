// SPDX-License-Identifier: Apache-2.0
// The system calls behind fd.h.
#include "common/fd.h"

#include <dirent.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <memory>

#include "common/pipe.h"

namespace keelson {

Result<Pipe> make_pipe(int flags) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | flags) < 0) {
    return fail_errno(errno, "make a pipe");
  }
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

Result<Fd> open_file(const std::string& path, int flags, mode_t mode) {
  int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  if (fd < 0) {
    return fail_errno(errno, "open {}", path);
  }
  return Fd(fd);
}

Result<Fd> open_in_root(int root, const std::string& path, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags) | O_CLOEXEC;
  how.mode = mode;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  long fd = -1;
  // The kernel asks for a retry when a rename raced with the look-up of "..".
  for (int attempt = 0; attempt < 64; ++attempt) {
    fd = ::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
    if (fd >= 0 || errno != EAGAIN) {
      break;
    }
  }
  if (fd < 0) {
    return fail_errno(errno, "open {} below its root", path);
  }
  return Fd(static_cast<int>(fd));
}

Result<Fd> duplicate(int fd) {
  int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) {
    return fail_errno(errno, "duplicate descriptor {}", fd);
  }
  return Fd(copy);
}

Result<std::string> read_all(int fd, size_t limit) {
  std::string data;
  char buffer[16384];
  for (;;) {
    ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0) {
      if (errno == EINTR) {
        continue;
      }
      return fail_errno(errno, "read");
    }
    if (n == 0) {
      return data;
    }
    if (data.size() + static_cast<size_t>(n) > limit) {
      return fail(Kind::exhausted, "larger than the limit of {} bytes", limit);
    }
    data.append(buffer, static_cast<size_t>(n));
  }
}

Result<std::string> read_file(const std::string& path, size_t limit) {
  KEELSON_TRY(auto fd, open_file(path, O_RDONLY));
  return read_all(fd.get(), limit).context("{}", path);
}

Result<> write_all(int fd, std::string_view data) {
  while (!data.empty()) {
    ssize_t n = ::write(fd, data.data(), data.size());
    if (n < 0) {
      if (errno == EINTR) {
        continue;
      }
      return fail_errno(errno, "write");
    }
    data.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Result<> write_value(const std::string& path, std::string_view value) {
  KEELSON_TRY(auto fd, open_file(path, O_WRONLY));
  if (::write(fd.get(), value.data(), value.size()) != static_cast<ssize_t>(value.size())) {
    return fail_errno(errno, "write '{}' to {}", value, path);
  }
  return {};
}

Result<> make_directories(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0) {
    return {};
  }
  if (errno == ENOENT) {
    auto slash = path.find_last_of('/');
    if (slash != std::string::npos && slash > 0) {
      KEELSON_DO(make_directories(path.substr(0, slash), mode));
      if (::mkdir(path.c_str(), mode) == 0) {
        return {};
      }
    }
  }
  int error = errno;
  struct stat info{};
  if (error == EEXIST && ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
    return {};
  }
  return fail_errno(error, "make directory {}", path);
}

Result<> make_private_directory(const std::string& path) {
  KEELSON_DO(make_directories(path, 0700));
  if (::chmod(path.c_str(), 0700) < 0) {
    return fail_errno(errno, "set the mode of {}", path);
  }
  return {};
}

namespace {

using Directory = std::unique_ptr<DIR, decltype([](DIR* dir) { ::closedir(dir); })>;

/// Folders inside each other that are gone into. Whoever fills a tree may nest them deeper than there is stack, or than
/// descriptors may be open.
constexpr int kDeepest = 64;

/// A tree on its way out.
class Removal {
 public:
  Removal(int top, dev_t device) : top_(top), device_(device) {}

  /// All that is in the tree.
  Result<> run(const std::string& path) {
    do {
      lifted_ = false;
      Fd listing(::openat(top_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (!listing) {
        return fail_errno(errno, "open {}", path);
      }
      KEELSON_DO(remove_contents(std::move(listing), path, 0));
    } while (lifted_);
    return {};
  }

 private:
  Result<> remove_contents(Fd fd, const std::string& path, int depth) {
    Directory dir(::fdopendir(fd.get()));
    if (!dir) {
      return fail_errno(errno, "list {}", path);
    }
    int dir_fd = fd.release();
    while (dirent* entry = ::readdir(dir.get())) {
      std::string name = entry->d_name;
      if (name == "." || name == "..") {
        continue;
      }
      if (::unlinkat(dir_fd, entry->d_name, 0) == 0 || errno == ENOENT) {
        continue;
      }
      if (errno != EISDIR && errno != EPERM) {
        return fail_errno(errno, "remove {}/{}", path, name);
      }
      KEELSON_DO(remove_folder(dir_fd, name, path + "/" + name, depth));
    }
    return {};
  }

  Result<> remove_folder(int parent, const std::string& name, const std::string& path, int depth) {
    Fd folder(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!folder) {
      return fail_errno(errno, "open {}", path);
    }
    struct stat info{};
    if (::fstat(folder.get(), &info) < 0) {
      return fail_errno(errno, "stat {}", path);
    }
    if (info.st_dev != device_) {
      return fail(Kind::conflict, "{} is on another file system; unmount it first", path);
    }
    if (depth == kDeepest) {
      return lift(parent, name, path);
    }
    KEELSON_DO(remove_contents(std::move(folder), path, depth + 1));
    if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) < 0 && errno != ENOENT) {
      return fail_errno(errno, "remove {}", path);
    }
    return {};
  }

  /// Moves a folder up to the top, where it is taken from once more.
  Result<> lift(int parent, const std::string& name, const std::string& path) {
    lifted_ = true;
    while (::renameat(parent, name.c_str(), top_, fmt::format(".lifted-{}", number_++).c_str()) < 0) {
      if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR) {
        return fail_errno(errno, "move {} up", path);
      }
    }
    return {};
  }

  const int top_;
  const dev_t device_;
  bool lifted_ = false;
  uint64_t number_ = 0;
};

}  // namespace

Result<> remove_tree(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) {
    return {};
  }
  if (errno != EISDIR && errno != EPERM) {
    return fail_errno(errno, "remove {}", path);
  }
  KEELSON_TRY(const auto top, open_file(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  struct stat info{};
  if (::fstat(top.get(), &info) < 0) {
    return fail_errno(errno, "stat {}", path);
  }
  KEELSON_DO(Removal(top.get(), info.st_dev).run(path));
  if (::rmdir(path.c_str()) < 0 && errno != ENOENT) {
    return fail_errno(errno, "remove {}", path);
  }
  return {};
}

}  // namespace keelson
