// SPDX-License-Identifier: Apache-2.0
// Frames of the shim protocol on a stream socket, with descriptors.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "common/fd.h"
#include "cri/shim/protocol.h"

namespace keelson::cri::shim {

struct Frame {
  FrameType type = FrameType::request;
  std::string body;
  std::vector<Fd> fds;
};

/// Larger frames are refused: a spec with its environment and filter is some tens of KiB.
inline constexpr size_t kMaxFrame = 16 << 20;

/// One frame as it goes over the socket.
std::string frame_bytes(FrameType type, std::string_view body);

/// Sends what the socket takes at once, `fds` with the first byte; how many bytes: 0 if it takes none now.
/// Kind::unavailable when the peer is gone.
Result<size_t> send_some(int socket, std::string_view bytes, const std::vector<int>& fds);

/// For a blocking socket: sends one frame; waits while the peer does not read. Kind::unavailable when the peer is gone.
Result<> send_frame(int socket, FrameType type, std::string_view body, const std::vector<int>& fds = {});

/// Collects bytes and descriptors of one connection into frames.
class FrameReader {
 public:
  /// Reads once what is there (blocks only if the socket does). False at the peer's end of file.
  Result<bool> fill(int socket);
  /// The next whole frame, if there is one.
  Result<std::optional<Frame>> next();

 private:
  std::string buffer_;
  std::vector<Fd> fds_;
};

/// Waits for the next frame of a blocking socket. Kind::timeout, Kind::unavailable at end of file.
Result<Frame> receive_frame(int socket, FrameReader& reader, std::optional<std::chrono::milliseconds> limit);

}  // namespace keelson::cri::shim
