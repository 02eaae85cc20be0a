// SPDX-License-Identifier: Apache-2.0
// Which streams belong together: the error and the data stream of one forwarded connection. No sockets.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "cri/streaming/spdy_frames.h"

namespace keelson::cri {

/// A stream's role, from its headers.
struct ForwardStream {
  std::string request;
  bool data = false;  // else error
  uint16_t port = 0;
};
/// Kind::invalid: no port, a bad one, or another stream type. Clients before "requestid" open error, then data, one
/// after the other: their numbers differ by two, and the error stream's stands for the request.
Result<ForwardStream> forward_stream_of(const SpdyFrame& syn_stream);

/// A pair that is complete.
struct ForwardPair {
  std::string request;
  uint16_t port = 0;
  uint32_t error = 0;  // stream numbers
  uint32_t data = 0;
};

class ForwardPairs {
 public:
  /// The pair, if this stream completes it; it is forgotten then. Kind::conflict: that half is there already.
  Result<std::optional<ForwardPair>> add(const ForwardStream& stream, uint32_t number);
  /// Forgets a request whose other half has not come; nullopt if it is not waiting.
  std::optional<ForwardPair> expire(const std::string& request);
  /// The half pair of a request, if it waits.
  const ForwardPair* find(const std::string& request) const;
  size_t count() const { return waiting_.size(); }

 private:
  std::map<std::string, ForwardPair> waiting_;
};

}  // namespace keelson::cri
