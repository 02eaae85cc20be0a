// SPDX-License-Identifier: Apache-2.0
// Lines, and rotation on size.
#include "cri/shim/log_writer.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <algorithm>
#include <ctime>
#include <memory>
#include <vector>

#include "common/clock.h"

namespace keelson::cri::shim {

namespace {

constexpr size_t kPiece = 16384;

/// ".20260131-235959", as the kubelet names rotated files.
std::string rotation_suffix(int64_t now_ns) {
  std::time_t seconds = now_ns / 1'000'000'000;
  std::tm tm{};
  ::gmtime_r(&seconds, &tm);
  return fmt::format(".{:04}{:02}{:02}-{:02}{:02}{:02}", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                     tm.tm_min, tm.tm_sec);
}

/// Removes the oldest rotated files of `path` until `keep` are left.
void remove_oldest(const std::string& path, size_t keep) {
  auto slash = path.find_last_of('/');
  std::string folder = path.substr(0, slash);
  std::string prefix = path.substr(slash + 1) + ".";
  std::vector<std::string> rotated;
  std::unique_ptr<DIR, decltype([](DIR* dir) { ::closedir(dir); })> dir(::opendir(folder.c_str()));
  if (!dir) {
    return;
  }
  while (dirent* entry = ::readdir(dir.get())) {
    if (std::string_view(entry->d_name).starts_with(prefix)) {
      rotated.emplace_back(entry->d_name);
    }
  }
  std::sort(rotated.begin(), rotated.end());
  for (size_t i = 0; i + keep < rotated.size(); ++i) {
    ::unlink((folder + "/" + rotated[i]).c_str());
  }
}

}  // namespace

LogWriter::LogWriter(std::string path, uint64_t max_bytes, uint32_t max_files)
    : path_(std::move(path)), max_bytes_(max_bytes), max_files_(std::max(max_files, 2U)) {}

Result<> LogWriter::open() {
  if (path_.empty()) {
    return {};
  }
  KEELSON_DO(make_directories(path_.substr(0, path_.find_last_of('/'))));
  KEELSON_TRY(auto file, open_file(path_, O_WRONLY | O_CREAT | O_APPEND, 0640));
  struct stat info{};
  size_ = ::fstat(file.get(), &info) == 0 ? static_cast<uint64_t>(info.st_size) : 0;
  file_ = std::move(file);
  return {};
}

Result<> LogWriter::reopen() {
  return open();
}

Result<> LogWriter::write(Stream stream, std::string_view data, int64_t now_ns) {
  if (path_.empty()) {
    return {};
  }
  Result<> outcome;
  auto& waiting = waiting_[static_cast<size_t>(stream)];
  while (!data.empty()) {
    auto newline = data.find('\n');
    size_t room = kPiece - waiting.size();
    size_t take = std::min(newline == std::string_view::npos ? data.size() : newline, room);
    bool whole = newline != std::string_view::npos && newline == take;
    std::string_view piece = data.substr(0, take);
    if (!waiting.empty()) {
      waiting += piece;
      piece = waiting;
    }
    if (whole || piece.size() == kPiece) {
      if (auto written = line(stream, piece, whole, now_ns); !written) {
        outcome = std::move(written);
      }
      waiting.clear();
    } else if (waiting.empty()) {
      waiting = piece;
    }
    data.remove_prefix(take + (whole ? 1 : 0));
  }
  if (waiting.empty() && waiting.capacity() > 64) {
    waiting.shrink_to_fit();
  }
  return outcome;
}

Result<> LogWriter::finish(Stream stream, int64_t now_ns) {
  auto& waiting = waiting_[static_cast<size_t>(stream)];
  if (waiting.empty()) {
    return {};
  }
  auto written = line(stream, waiting, false, now_ns);
  waiting.clear();
  return written;
}

Result<> LogWriter::line(Stream stream, std::string_view text, bool whole, int64_t now_ns) {
  std::string head = format_rfc3339_nano(WallTime(Duration(now_ns)));
  head += stream == Stream::out ? " stdout " : " stderr ";
  head += whole ? "F " : "P ";
  uint64_t size = head.size() + text.size() + 1;
  if (max_bytes_ > 0 && size_ > 0 && size_ + size > max_bytes_) {
    KEELSON_DO(rotate(now_ns));
  }
  if (!file_) {
    KEELSON_DO(open());
  }
  char newline = '\n';
  iovec parts[3] = {{head.data(), head.size()}, {const_cast<char*>(text.data()), text.size()}, {&newline, 1}};
  ssize_t n = ::writev(file_.get(), parts, 3);
  if (n != static_cast<ssize_t>(size)) {
    return fail_errno(n < 0 ? errno : ENOSPC, "write {}", path_);
  }
  size_ += size;
  return {};
}

Result<> LogWriter::rotate(int64_t now_ns) {
  std::string name = path_ + rotation_suffix(now_ns);
  // Two rotations in one second get a counter behind, which sorts after.
  std::string target = name;
  for (int i = 1; ::access(target.c_str(), F_OK) == 0; ++i) {
    target = fmt::format("{}.{:03}", name, i);
  }
  if (::rename(path_.c_str(), target.c_str()) < 0 && errno != ENOENT) {
    return fail_errno(errno, "rotate {}", path_);
  }
  KEELSON_DO(open());
  remove_oldest(path_, max_files_ - 1);
  return {};
}

}  // namespace keelson::cri::shim
