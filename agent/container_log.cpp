// SPDX-License-Identifier: Apache-2.0
// CRI log lines, whole files of them, and files as they grow.
#include "agent/container_log.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

namespace keelson::agent {

namespace {

constexpr size_t kPiece = 64 << 10;

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

Result<std::string> read_piece(int fd, off_t from, size_t size) {
  std::string text(size, '\0');
  const ssize_t count = ::pread(fd, text.data(), size, from);
  if (count < 0) {
    return fail_errno(errno, "read log");
  }
  text.resize(static_cast<size_t>(count));
  return text;
}

/// The lines of `text` that are whole, filtered; the rest stays in `text`.
std::string show_lines(LogFilter& filter, std::string& text) {
  std::string shown;
  size_t from = 0;
  for (size_t end = text.find('\n'); end != text.npos && !filter.full(); end = text.find('\n', from)) {
    shown += filter.show(std::string_view(text).substr(from, end - from));
    from = end + 1;
  }
  text.erase(0, from);
  return shown;
}

struct LinesBack {
  size_t begin = 0;    // of the first line found, or of the text
  size_t missing = 0;  // so many lines begin before the text
};

/// The last `lines` lines of a text that ends with a line, whole or not.
LinesBack go_back(std::string_view text, size_t lines) {
  size_t end = text.size();
  while (lines > 0) {
    const size_t before = end == 0 ? text.npos : text.rfind('\n', end - 1);
    if (before == text.npos) {
      return {.begin = 0, .missing = lines};
    }
    --lines;
    end = before;
  }
  return {.begin = end + 1, .missing = 0};
}

std::string_view without_last_end(std::string_view text) {
  return text.substr(0, text.size() - (text.ends_with('\n') ? 1 : 0));
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

LogReader::LogReader(Opened file, LogOptions options) : file_(std::move(file)), filter_(options) {
  if (options.tail_lines) {
    at_ = file_.size;
    searched_ = file_.size;
    if (*options.tail_lines > 0) {
      wanted_ = options.tail_lines;
    }
  }
}

Result<LogReader::Opened> LogReader::open_file(const std::string& path) {
  KEELSON_TRY(auto fd, keelson::open_file(path, O_RDONLY | O_NONBLOCK));
  struct stat status{};
  if (::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return fail(Kind::invalid, "{} is no log file", path);
  }
  return Opened{std::move(fd), status.st_ino, status.st_size};
}

Result<LogReader> LogReader::open(const std::string& path, LogOptions options) {
  KEELSON_TRY(auto file, open_file(path));
  return LogReader(std::move(file), std::move(options));
}

/// One step back from the end.
Result<> LogReader::seek() {
  const off_t from = std::max<off_t>(0, searched_ - static_cast<off_t>(kPiece));
  KEELSON_TRY(const auto text, read_piece(file_.fd.get(), from, static_cast<size_t>(searched_ - from)));
  const auto found = go_back(searched_ == file_.size ? without_last_end(text) : text, *wanted_);
  wanted_ = found.missing;
  searched_ = from;
  if (found.missing == 0 || from == 0) {
    at_ = from + static_cast<off_t>(found.begin);
    wanted_.reset();
  }
  return {};
}

Result<LogReader::Piece> LogReader::next() {
  if (wanted_) {
    KEELSON_DO(seek());
    return Piece();
  }
  if (full()) {
    return Piece{.text = {}, .end = true};
  }
  KEELSON_TRY(const auto text, read_piece(file_.fd.get(), at_, kPiece));
  at_ += static_cast<off_t>(text.size());
  pending_ += text;
  auto shown = show_lines(filter_, pending_);
  return Piece{.text = std::move(shown), .end = text.empty()};
}

std::string LogReader::take_rest() {
  if (pending_.empty() || full()) {
    return "";
  }
  pending_ += '\n';
  return show_lines(filter_, pending_);
}

bool LogReader::was_moved_from(const std::string& path) const {
  struct stat now{};
  return ::stat(path.c_str(), &now) == 0 && now.st_ino != file_.inode;
}

Result<> LogReader::go_on_in(const std::string& path) {
  KEELSON_TRY(file_, open_file(path));
  at_ = 0;
  wanted_.reset();
  return {};
}

Result<std::string> LogReader::last_lines(const std::string& path, size_t lines) {
  KEELSON_TRY(const auto file, open_file(path));
  const off_t from = std::max<off_t>(0, file.size - static_cast<off_t>(kPiece));
  KEELSON_TRY(auto text, read_piece(file.fd.get(), from, kPiece));
  if (from > 0) {
    text.erase(0, text.find('\n') + 1);  // nothing if it is one line
  }
  text.erase(0, go_back(without_last_end(text), lines).begin);
  if (!text.empty() && !text.ends_with('\n')) {
    text += '\n';
  }
  LogFilter filter({});
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

namespace {

/// Shows all that is there now. False: that was nothing.
Task<bool> show_new(LogReader* reader, const LogSink* sink) {
  bool grew = false;
  while (true) {
    KEELSON_CO_TRY(auto piece, reader->next());
    if (piece.end) {
      co_return grew;
    }
    grew = true;
    if (!piece.text.empty()) {
      KEELSON_CO_DO(co_await (*sink)(std::move(piece.text)));
    } else {
      // Others have their turn while nothing is to be shown.
      co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    }
  }
}

}  // namespace

Task<> show_log(std::string before, LogReader reader, LogSink sink) {
  if (!before.empty()) {
    KEELSON_CO_DO(co_await sink(std::move(before)));
  }
  KEELSON_CO_DO(co_await show_new(&reader, &sink));
  if (auto rest = reader.take_rest(); !rest.empty()) {
    KEELSON_CO_DO(co_await sink(std::move(rest)));
  }
  co_return Result<>();
}

Task<> follow_log(LogFollow what) {
  std::optional<LogReader> log;
  while (!log || !log->full()) {
    // Asked before reading: what was written by then is read below. So is what went to this file before it was moved.
    KEELSON_CO_TRY(const bool last, co_await what.ended());
    bool grew = false;
    if (!log) {
      if (auto opened = LogReader::open(what.path, what.options)) {
        log = *std::move(opened);
      }
    }
    if (log) {
      const bool moved = log->was_moved_from(what.path);
      KEELSON_CO_TRY(grew, co_await show_new(&*log, &what.sink));
      if (moved && !grew && log->go_on_in(what.path)) {
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
