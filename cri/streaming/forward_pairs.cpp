// SPDX-License-Identifier: Apache-2.0
// forward_pairs.h.
#include "cri/streaming/forward_pairs.h"

#include <charconv>

namespace keelson::cri {

namespace {

std::string header(const SpdyFrame& frame, const char* name) {
  const auto found = frame.headers.find(name);
  return found == frame.headers.end() ? "" : found->second;
}

}  // namespace

Result<ForwardStream> forward_stream_of(const SpdyFrame& syn_stream) {
  const auto port = header(syn_stream, "port");
  ForwardStream stream;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), stream.port);
  if (error != std::errc() || end != port.data() + port.size() || stream.port == 0) {
    return fail(Kind::invalid, "port \"{}\": want 1 to 65535", port);
  }
  const auto type = header(syn_stream, "streamtype");
  if (type != "error" && type != "data") {
    return fail(Kind::invalid, "invalid stream type \"{}\"", type);
  }
  stream.data = type == "data";
  stream.request = header(syn_stream, "requestid");
  if (stream.request.empty()) {
    stream.request = std::to_string(stream.data ? syn_stream.id - 2 : syn_stream.id);
  }
  return stream;
}

Result<std::optional<ForwardPair>> ForwardPairs::add(const ForwardStream& stream, uint32_t number) {
  auto& pair = waiting_[stream.request];
  auto& half = stream.data ? pair.data : pair.error;
  if (half != 0) {
    return fail(Kind::conflict, "{} stream already assigned", stream.data ? "data" : "error");
  }
  half = number;
  pair.request = stream.request;
  if (stream.data) {
    pair.port = stream.port;
  }
  if (pair.data == 0 || pair.error == 0) {
    return std::nullopt;
  }
  return expire(stream.request);
}

std::optional<ForwardPair> ForwardPairs::expire(const std::string& request) {
  auto node = waiting_.extract(request);
  return node.empty() ? std::nullopt : std::optional(std::move(node.mapped()));
}

const ForwardPair* ForwardPairs::find(const std::string& request) const {
  const auto found = waiting_.find(request);
  return found == waiting_.end() ? nullptr : &found->second;
}

}  // namespace keelson::cri
