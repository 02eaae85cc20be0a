// SPDX-License-Identifier: Apache-2.0
#include "agent/pod_request.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace keelson::agent {

using http::Target;

namespace {

Result<std::optional<int64_t>> number(const Target& target, const std::string& key) {
  auto text = target.text(key);
  int64_t value = 0;
  if (text.empty()) {
    return std::optional<int64_t>();
  }
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) {
    return fail(Kind::invalid, "{}={}: not a count; give a whole number from 0 on", key, text);
  }
  return std::optional(value);
}

Result<std::string> stream_name(const std::string& text) {
  if (text.empty() || text == "All") {
    return "";
  }
  if (text == "Stdout" || text == "Stderr") {
    return text == "Stdout" ? "stdout" : "stderr";
  }
  return fail(Kind::invalid, "stream={}: not one of All, Stdout, Stderr", text);
}

}  // namespace

Result<PodAddress> pod_address(const std::vector<std::string>& path) {
  const bool container = path[0] != "portForward";
  const size_t least = container ? 4 : 3;
  if (path.size() < least || path.size() > least + 1) {
    return fail(Kind::invalid, "the path is /{}/NAMESPACE/POD{}", path[0], container ? "/CONTAINER" : "");
  }
  return PodAddress{.ns = path[1],
                    .pod = path[2],
                    .uid = path.size() > least ? path[3] : "",
                    .container = container ? path.back() : ""};
}

Result<LogOptions> log_options(const Target& target, WallTime now) {
  LogOptions options;
  KEELSON_TRY(auto tail, number(target, "tailLines"));
  KEELSON_TRY(auto since, number(target, "sinceSeconds"));
  KEELSON_TRY(auto limit, number(target, "limitBytes"));
  KEELSON_TRY(options.stream, stream_name(target.text("stream")));
  if (tail) {
    options.tail_lines = static_cast<size_t>(*tail);
  }
  if (tail && !options.stream.empty()) {
    return fail(Kind::invalid, "tailLines: cannot be counted for one stream alone");
  }
  if (since) {
    const auto known = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch());
    options.since = now - std::min(std::chrono::seconds(*since), known);
  }
  if (const auto from = target.text("sinceTime"); !from.empty()) {
    if (since) {
      return fail(Kind::invalid, "at most one of sinceTime and sinceSeconds");
    }
    KEELSON_TRY(options.since, parse_rfc3339(from).context("sinceTime"));
  }
  if (limit) {
    options.limit_bytes = static_cast<size_t>(*limit);
  }
  options.timestamps = target.flag("timestamps");
  return options;
}

cri::RuntimeClient::StreamRequest streams_of(const Target& target, bool all_output) {
  const bool tty = target.flag("tty");
  return {.command = target.all("command"),
          .in = target.flag("input") || target.flag("stdin"),
          .out = all_output || target.flag("output") || target.flag("stdout"),
          .error = !tty && (all_output || target.flag("error") || target.flag("stderr")),
          .tty = tty};
}

Result<std::vector<uint16_t>> ports_of(const Target& target) {
  std::vector<uint16_t> ports;
  for (const auto& text : target.all("port")) {
    uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size() || port == 0) {
      return fail(Kind::invalid, "port={}: not a port from 1 to 65535", text);
    }
    ports.push_back(port);
  }
  return ports;
}

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> list;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(' ', at), text.size());
    if (end > at) {
      list.push_back(text.substr(at, end - at));
    }
    at = end + 1;
  }
  return list;
}

}  // namespace keelson::agent
