// SPDX-License-Identifier: Apache-2.0
// CRI log lines, whole files of them, and files as they grow.
#include "agent/container_log.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "common/fd.h"

namespace keelson::agent {

namespace {

constexpr size_t kMostRead = 16 << 20;

struct Line {
  std::string_view time;
  std::string_view stream;
  std::string_view text;
  bool part = false;
};

/// "2023-11-14T22:13:20.000000001Z stdout F text"; nullopt if it is not that.
std::optional<Line> split_line(std::string_view line) {
  size_t stream = line.find(' ');
  size_t tag = stream == line.npos ? stream : line.find(' ', stream + 1);
  size_t text = tag == line.npos ? tag : line.find(' ', tag + 1);
  if (text == line.npos || line.substr(0, stream).find('T') == line.npos) {
    return std::nullopt;
  }
  return Line{line.substr(0, stream), line.substr(stream + 1, tag - stream - 1), line.substr(text + 1),
              line.substr(tag + 1, text - tag - 1).starts_with('P')};
}

Result<std::string> read_from(int fd, off_t from) {
  std::string text;
  char piece[65536];
  while (text.size() < kMostRead) {
    ssize_t size = ::pread(fd, piece, sizeof piece, from + static_cast<off_t>(text.size()));
    if (size < 0) {
      return fail_errno(errno, "read log");
    }
    if (size == 0) {
      break;
    }
    text.append(piece, static_cast<size_t>(size));
  }
  return text;
}

/// The lines of `text` that are whole, filtered; the rest stays in `text`.
std::string show_lines(LogFilter& filter, std::string& text) {
  std::string shown;
  size_t from = 0;
  for (size_t end = text.find('\n'); end != text.npos; end = text.find('\n', from)) {
    shown += filter.show(std::string_view(text).substr(from, end - from));
    from = end + 1;
  }
  text.erase(0, from);
  return shown;
}

struct Opened {
  Fd fd;
  ino_t inode = 0;
  off_t size = 0;
};

Result<Opened> open_log(const std::string& path) {
  KEELSON_TRY(auto fd, open_file(path, O_RDONLY | O_NONBLOCK));
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return fail(Kind::invalid, "{} is no log file", path);
  }
  return Opened{std::move(fd), status.st_ino, status.st_size};
}

}  // namespace

std::string LogFilter::show(std::string_view line) {
  auto split = split_line(line);
  if (!options_.stream.empty() && split && split->stream != options_.stream) {
    return "";
  }
  if (options_.since && split) {
    auto time = parse_rfc3339(std::string(split->time));
    if (time && *time < *options_.since) {
      return "";
    }
  }
  std::string text;
  if (split && options_.timestamps && !inside_) {
    text += split->time;
    text += ' ';
  }
  text += split ? split->text : line;
  inside_ = split && split->part;
  if (!inside_) {
    text += '\n';
  }
  if (options_.limit_bytes) {
    text.resize(std::min(text.size(), *options_.limit_bytes - std::min(shown_, *options_.limit_bytes)));
  }
  shown_ += text.size();
  return text;
}

size_t tail_offset(std::string_view text, size_t lines) {
  if (lines == 0) {
    return text.size();
  }
  size_t end = text.ends_with('\n') ? text.size() - 1 : text.size();
  for (; lines > 0; --lines) {
    size_t before = end == 0 ? text.npos : text.rfind('\n', end - 1);
    if (before == text.npos) {
      return 0;
    }
    end = before;
  }
  return end + 1;
}

Result<std::string> read_log(const std::string& path, const LogOptions& options) {
  KEELSON_TRY(auto log, open_log(path));
  off_t from = std::max<off_t>(0, log.size - static_cast<off_t>(kMostRead));
  KEELSON_TRY(auto text, read_from(log.fd.get(), from));
  if (options.tail_lines) {
    text.erase(0, tail_offset(text, *options.tail_lines));
  }
  if (!text.empty() && !text.ends_with('\n')) {
    text += '\n';
  }
  LogFilter filter(options);
  return show_lines(filter, text);
}

uint32_t count_logs(const std::string& folder) {
  uint32_t count = 0;
  std::error_code unreadable;
  for (const auto& entry : std::filesystem::directory_iterator(folder, unreadable)) {
    const std::string name = entry.path().filename();
    uint32_t number = 0;
    const auto [end, wrong] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (wrong == std::errc() && std::string_view(end).starts_with(".log") && !entry.is_directory(unreadable)) {
      count = std::max(count, number + 1);
    }
  }
  return count;
}

Result<std::string> read_head(const std::string& path, size_t limit) {
  KEELSON_TRY(auto fd, open_file(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW));
  std::string text(limit, '\0');
  ssize_t size = ::pread(fd.get(), text.data(), limit, 0);
  if (size < 0) {
    return fail_errno(errno, "read {}", path);
  }
  text.resize(static_cast<size_t>(size));
  return text;
}

Task<> follow_log(LogFollow what) {
  LogFilter filter(what.options);
  std::optional<Opened> log;
  off_t at = 0;
  std::string pending;
  bool first = true;
  while (!filter.full()) {
    // Asked before reading: what was written by then is read below.
    KEELSON_CO_TRY(const bool last, co_await what.ended());
    if (!log) {
      if (auto opened = open_log(what.path)) {
        log = *std::move(opened);
        at = 0;
      } else if (last) {
        break;
      }
    }
    bool grew = false;
    if (log) {
      KEELSON_CO_TRY(auto text, read_from(log->fd.get(), at));
      at += static_cast<off_t>(text.size());
      grew = !text.empty();
      pending += text;
      if (std::exchange(first, false) && what.options.tail_lines) {
        pending.erase(0, tail_offset(pending, *what.options.tail_lines));
      }
      if (auto shown = show_lines(filter, pending); !shown.empty()) {
        KEELSON_CO_DO(co_await what.sink(std::move(shown)));
      }
      struct stat now{};
      bool rotated = ::stat(what.path.c_str(), &now) == 0 && now.st_ino != log->inode;
      if (!grew && rotated) {
        log.reset();
        continue;
      }
    }
    if (!grew) {
      if (last) {
        break;
      }
      KEELSON_CO_DO(co_await what.watch->changed());
    }
  }
  co_return Result<>();
}

}  // namespace keelson::agent
