// SPDX-License-Identifier: Apache-2.0
// The system calls behind fd.h.
#include "common/fd.h"

#include <dirent.h>
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

namespace {

using Directory = std::unique_ptr<DIR, decltype([](DIR* dir) { ::closedir(dir); })>;

Result<> remove_contents(Fd fd, dev_t device, const std::string& path) {
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
    Fd child(::openat(dir_fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!child) {
      return fail_errno(errno, "open {}/{}", path, name);
    }
    struct stat info{};
    if (::fstat(child.get(), &info) < 0) {
      return fail_errno(errno, "stat {}/{}", path, name);
    }
    if (info.st_dev != device) {
      return fail(Kind::conflict, "{}/{} is on another file system; unmount it first", path, name);
    }
    KEELSON_DO(remove_contents(std::move(child), device, path + "/" + name));
    if (::unlinkat(dir_fd, entry->d_name, AT_REMOVEDIR) < 0 && errno != ENOENT) {
      return fail_errno(errno, "remove {}/{}", path, name);
    }
  }
  return {};
}

}  // namespace

Result<> remove_tree(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) {
    return {};
  }
  if (errno != EISDIR && errno != EPERM) {
    return fail_errno(errno, "remove {}", path);
  }
  KEELSON_TRY(auto fd, open_file(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  struct stat info{};
  if (::fstat(fd.get(), &info) < 0) {
    return fail_errno(errno, "stat {}", path);
  }
  KEELSON_DO(remove_contents(std::move(fd), info.st_dev, path));
  if (::rmdir(path.c_str()) < 0 && errno != ENOENT) {
    return fail_errno(errno, "remove {}", path);
  }
  return {};
}

}  // namespace keelson
