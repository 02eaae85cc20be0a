// SPDX-License-Identifier: Apache-2.0
#include "agent/rotated_logs.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <zlib.h>

#include <algorithm>
#include <ctime>
#include <filesystem>

#include "common/fd.h"

namespace keelson::agent {

namespace fs = std::filesystem;

namespace {

constexpr const char* kCompressed = ".gz";
constexpr const char* kUnfinished = ".tmp";
constexpr size_t kPiece = 64 << 10;

Result<> remove_file(const std::string& path) {
  if (::unlink(path.c_str()) < 0 && errno != ENOENT) {
    return fail_errno(errno, "remove {}", path);
  }
  return {};
}

/// Files beside the log whose names are its with something behind, from the oldest on.
Result<std::vector<std::string>> older_files(const std::string& log) {
  std::vector<std::string> files;
  std::error_code error;
  for (auto it = fs::directory_iterator(fs::path(log).parent_path(), error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    if (it->path().string().starts_with(log + ".")) {
      files.push_back(it->path());
    }
  }
  if (error) {
    return fail_errno(error.value(), "list the files of {}", log);
  }
  std::ranges::sort(files);
  return files;
}

/// Neither begun and never finished, nor compressed already.
bool is_in_use(const std::string& file, const std::vector<std::string>& all) {
  return !file.ends_with(kUnfinished) &&
         (file.ends_with(kCompressed) || std::ranges::find(all, file + kCompressed) == all.end());
}

/// deflate() with the frame of gzip(1), from one file to another.
class Gzip {
 public:
  Gzip() {
    ready_ = ::deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK;
  }
  ~Gzip() {
    if (ready_) {
      ::deflateEnd(&stream_);
    }
  }
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;

  Result<> run(int from, int to) {
    if (!ready_) {
      return fail(Kind::exhausted, "compress: no memory");
    }
    std::string in(kPiece, '\0');
    while (true) {
      const ssize_t size = ::read(from, in.data(), in.size());
      if (size < 0) {
        return fail_errno(errno, "read");
      }
      KEELSON_DO(put(in.data(), static_cast<size_t>(size), to));
      if (size == 0) {
        return {};
      }
    }
  }

 private:
  /// Of size 0: the end.
  Result<> put(char* data, size_t size, int to) {
    std::string out(kPiece, '\0');
    stream_.next_in = reinterpret_cast<Bytef*>(data);
    stream_.avail_in = static_cast<uInt>(size);
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(out.data());
      stream_.avail_out = static_cast<uInt>(out.size());
      if (::deflate(&stream_, size == 0 ? Z_FINISH : Z_NO_FLUSH) == Z_STREAM_ERROR) {
        return fail(Kind::internal, "deflate");
      }
      KEELSON_DO(write_all(to, std::string_view(out).substr(0, out.size() - stream_.avail_out)));
    } while (stream_.avail_out == 0);
    return {};
  }

  z_stream stream_{};
  bool ready_ = false;
};

Result<> compress_to(const std::string& file, const std::string& unfinished) {
  KEELSON_TRY(const auto from, open_file(file, O_RDONLY | O_NOFOLLOW));
  struct stat status{};
  if (::fstat(from.get(), &status) != 0) {
    return fail_errno(errno, "stat {}", file);
  }
  KEELSON_TRY(const auto to, open_file(unfinished, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
  if (::fchmod(to.get(), status.st_mode & 07777) != 0) {
    return fail_errno(errno, "chmod {}", unfinished);
  }
  return Gzip().run(from.get(), to.get()).context("compress {}", file);
}

std::string time_suffix(WallTime now) {
  const std::time_t seconds =
      std::chrono::system_clock::to_time_t(std::chrono::time_point_cast<std::chrono::system_clock::duration>(now));
  std::tm tm{};
  ::localtime_r(&seconds, &tm);
  return fmt::format("{:04}{:02}{:02}-{:02}{:02}{:02}", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                     tm.tm_min, tm.tm_sec);
}

}  // namespace

Result<> compress_log(const std::string& file) {
  const auto unfinished = file + kUnfinished;
  if (auto done = compress_to(file, unfinished); !done) {
    ::unlink(unfinished.c_str());
    return done;
  }
  if (::rename(unfinished.c_str(), (file + kCompressed).c_str()) < 0) {
    return fail_errno(errno, "rename {}", unfinished);
  }
  return remove_file(file);
}

Result<> tidy_rotated_logs(const std::string& log, int max_files) {
  KEELSON_TRY(const auto all, older_files(log));
  std::vector<std::string> kept;
  for (const auto& file : all) {
    if (is_in_use(file, all)) {
      kept.push_back(file);
    } else {
      KEELSON_DO(remove_file(file));
    }
  }
  const auto room = static_cast<size_t>(std::max(max_files - 2, 0));  // the log, and what it is about to be renamed to
  const size_t surplus = kept.size() - std::min(kept.size(), room);
  for (size_t i = 0; i < kept.size(); ++i) {
    if (i < surplus) {
      KEELSON_DO(remove_file(kept[i]));
    } else if (!kept[i].ends_with(kCompressed)) {
      KEELSON_DO(compress_log(kept[i]));
    }
  }
  return {};
}

Result<std::string> move_log_aside(const std::string& log, WallTime now) {
  auto moved = log + "." + time_suffix(now);
  if (::rename(log.c_str(), moved.c_str()) < 0) {
    return fail_errno(errno, "rename {}", log);
  }
  return moved;
}

Result<> move_log_back(const std::string& moved, const std::string& log) {
  if (::renameat2(AT_FDCWD, moved.c_str(), AT_FDCWD, log.c_str(), RENAME_NOREPLACE) < 0 && errno != EEXIST) {
    return fail_errno(errno, "rename {} back", moved);
  }
  return {};
}

Result<> remove_logs(const std::string& log) {
  KEELSON_TRY(const auto older, older_files(log));
  for (const auto& file : older) {
    KEELSON_DO(remove_file(file));
  }
  return remove_file(log);
}

}  // namespace keelson::agent
