// SPDX-License-Identifier: Apache-2.0
#include "agent/kubelet_api/system_logs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

#include "common/fd.h"

namespace keelson::agent {

namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = "/logs";
constexpr size_t kPiece = 64 << 10;
constexpr size_t kSniffed = 512;

struct Opened {
  std::shared_ptr<Fd> file;
  struct stat info{};
};

bool is_below(const std::string& path, const std::string& folder) {
  std::error_code none;
  const auto real = fs::canonical(folder, none).string();
  return !none && (path == real || real == "/" || path.starts_with(real + "/"));
}

/// Follows links; nothing is waited for (a FIFO). Kind::permission: it is none of ours to show.
Result<Opened> open_log(const SystemLogOptions& options, const std::vector<std::string>& names) {
  std::string path = options.folder;
  for (const auto& name : names) {
    // A decoded slash or ".." would be another way than the one that is named.
    if (name == ".." || name.find('/') != std::string::npos || name.find('\0') != std::string::npos) {
      return fail(Kind::not_found, "no such name");
    }
    path += "/" + name;
  }
  Opened opened;
  KEELSON_TRY(auto file, open_file(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  opened.file = std::make_shared<Fd>(std::move(file));
  if (::fstat(opened.file->get(), &opened.info) < 0) {
    return fail_errno(errno, "stat {}", path);
  }
  // Where it really is: looked up after the opening, so that no link changes in between.
  std::error_code none;
  const auto real = fs::read_symlink(fmt::format("/proc/self/fd/{}", opened.file->get()), none).string();
  const bool ours = is_below(real, options.folder) ||
                    std::ranges::any_of(options.linked, [&](const auto& folder) { return is_below(real, folder); });
  if (!ours || !(S_ISREG(opened.info.st_mode) || S_ISDIR(opened.info.st_mode))) {
    return fail(Kind::permission, "{} is not a log", path);
  }
  return opened;
}

std::string escaped_html(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&#34;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

/// A relative link, as Go's url.URL writes a path.
std::string escaped_path(const std::string& name) {
  constexpr std::string_view kPlain = "-_.~$&+,/:;=@";
  // A colon in the first part would read as a scheme.
  std::string out = name.substr(0, name.find('/')).find(':') != std::string::npos ? "./" : "";
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    const bool letter = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    out += letter || kPlain.find(c) != kPlain.npos ? std::string(1, c) : fmt::format("%{:02X}", byte);
  }
  return out;
}

http::Response list_of(const Opened& folder) {
  std::vector<std::string> names;
  std::error_code broken;
  for (auto it = fs::directory_iterator(fmt::format("/proc/self/fd/{}", folder.file->get()), broken);
       !broken && it != fs::directory_iterator(); it.increment(broken)) {
    std::error_code none;
    const bool inner = fs::is_directory(it->symlink_status(none));
    names.push_back(it->path().filename().string() + (inner ? "/" : ""));
  }
  if (broken) {
    return http::text("Error reading directory\n", 500);
  }
  std::ranges::sort(names);
  std::string body = "<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n";
  for (const auto& name : names) {
    body += fmt::format("<a href=\"{}\">{}</a>\n", escaped_path(name), escaped_html(name));
  }
  return {.type = "text/html; charset=utf-8", .body = body + "</pre>\n"};
}

/// Of a file that begins like this, by Go's rules as far as logs have them.
std::string type_of(std::string_view begin) {
  if (begin.starts_with("\x1f\x8b\x08")) {
    return "application/x-gzip";
  }
  const bool binary = std::ranges::any_of(begin, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte <= 0x08 || byte == 0x0b || (byte >= 0x0e && byte <= 0x1a) || (byte >= 0x1c && byte <= 0x1f);
  });
  return binary ? "application/octet-stream" : "text/plain; charset=utf-8";
}

Result<std::string> read_piece(const Fd& file, int64_t from, size_t most) {
  std::string piece(most, '\0');
  const auto got = ::pread(file.get(), piece.data(), piece.size(), from);
  if (got < 0) {
    return fail_errno(errno, "read a log");
  }
  piece.resize(static_cast<size_t>(got));
  return piece;
}

Task<> send(std::shared_ptr<Fd> file, int64_t size, http::Sink sink) {
  for (int64_t at = 0; at < size;) {
    KEELSON_CO_TRY(auto piece, read_piece(*file, at, std::min<int64_t>(kPiece, size - at)));
    if (piece.empty()) {
      break;  // it was cut short meanwhile
    }
    at += static_cast<int64_t>(piece.size());
    KEELSON_CO_DO(co_await sink(std::move(piece)));
  }
  co_return Result<>();
}

http::Response moved(const std::string& where) {
  auto response = http::text("", 301);
  response.headers.emplace_back("Location", where);
  return response;
}

}  // namespace

http::Response system_log(const SystemLogOptions& options, const http::Request& request) {
  if (!options.enabled) {
    return http::text("logs endpoint is disabled.\n", 405);
  }
  if (request.method != "GET") {
    return http::text("405: Method Not Allowed", 405);
  }
  if (request.target.query.contains("query")) {
    return http::text(
        "this node does not search logs (NodeLogQuery, enableSystemLogQuery); ask for a file below /logs/ instead\n",
        400);
  }
  std::vector<std::string> names(request.target.path.begin() + 1, request.target.path.end());
  std::erase(names, "");
  const bool slash = request.path.ends_with('/');
  const auto opened = open_log(options, names);
  if (!opened) {
    const auto& error = opened.error();
    const bool missing = error.kind() == Kind::not_found || error.code() == ENOTDIR;
    return missing                            ? http::text("404 page not found\n", 404)
           : error.kind() == Kind::permission ? http::text("403 Forbidden\n", 403)
                                              : http::text("500 Internal Server Error\n", 500);
  }
  const std::string last = names.empty() ? kPrefix + 1 : names.back();
  if (S_ISDIR(opened->info.st_mode)) {
    return slash ? list_of(*opened) : moved(escaped_path(last) + "/");
  }
  if (slash) {
    return moved("../" + escaped_path(last));
  }
  const auto begin = read_piece(*opened->file, 0, kSniffed);
  if (!begin) {
    return http::text("500 Internal Server Error\n", 500);
  }
  http::Response response{.type = type_of(*begin)};
  response.stream = [file = opened->file, size = static_cast<int64_t>(opened->info.st_size)](http::Sink sink) {
    return send(file, size, std::move(sink));
  };
  return response;
}

}  // namespace keelson::agent
