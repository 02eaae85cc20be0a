// SPDX-License-Identifier: Apache-2.0
// frames.h: lengths, and what came in parts.
#include "cri/shim/frames.h"

#include <poll.h>

#include <array>
#include <cstring>

#include "cri/shim/descriptors.h"

namespace keelson::cri::shim {

namespace {

constexpr size_t kHeader = sizeof(uint32_t) + 1;

Result<> wait_for(int socket, short events, int limit_ms) {
  pollfd poll_fd{socket, events, 0};
  int n = ::poll(&poll_fd, 1, limit_ms);
  if (n == 0) {
    return fail(Kind::timeout, "the shim did not answer in time");
  }
  if (n < 0 && errno != EINTR) {
    return fail_errno(errno, "wait for the shim");
  }
  return {};
}

}  // namespace

std::string frame_bytes(FrameType type, std::string_view body) {
  std::string bytes;
  auto size = static_cast<uint32_t>(body.size() + 1);
  bytes.append(reinterpret_cast<const char*>(&size), sizeof size);
  bytes.push_back(static_cast<char>(type));
  bytes.append(body);
  return bytes;
}

Result<size_t> send_some(int socket, std::string_view bytes, const std::vector<int>& fds) {
  const ssize_t n = send_with(socket, bytes, fds);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
    return 0;
  }
  if (n < 0) {
    return fail(Kind::unavailable, "the other end of the shim's socket is gone: {}", errno_text(errno));
  }
  return static_cast<size_t>(n);
}

Result<> send_frame(int socket, FrameType type, std::string_view body, const std::vector<int>& fds) {
  const std::string bytes = frame_bytes(type, body);
  for (size_t sent = 0; sent < bytes.size();) {
    KEELSON_TRY(auto now,
                send_some(socket, std::string_view(bytes).substr(sent), sent == 0 ? fds : std::vector<int>()));
    sent += now;
  }
  return {};
}

Result<bool> FrameReader::fill(int socket) {
  std::array<char, 65536> data;
  const ssize_t n = receive_with(socket, data, fds_);
  if (n < 0) {
    if (errno == EINTR || errno == EAGAIN) {
      return true;
    }
    return fail(Kind::unavailable, "the shim's socket: {}", errno_text(errno));
  }
  buffer_.append(data.data(), static_cast<size_t>(n));
  return n > 0;
}

Result<std::optional<Frame>> FrameReader::next() {
  if (buffer_.size() < kHeader) {
    return std::nullopt;
  }
  uint32_t size = 0;
  std::memcpy(&size, buffer_.data(), sizeof size);
  if (size == 0 || size > kMaxFrame) {
    return fail(Kind::invalid, "shim message: a frame of {} bytes", size);
  }
  if (buffer_.size() < sizeof size + size) {
    return std::nullopt;
  }
  Frame frame{
      .type = static_cast<FrameType>(buffer_[sizeof size]), .body = buffer_.substr(kHeader, size - 1), .fds = {}};
  // Descriptors come with a frame's first byte, and its answer is awaited before the next frame: all of them are its
  // own.
  frame.fds = std::move(fds_);
  fds_.clear();
  buffer_.erase(0, sizeof size + size);
  if (buffer_.empty()) {
    buffer_.shrink_to_fit();  // a shim must stay small
  }
  return frame;
}

Result<Frame> receive_frame(int socket, FrameReader& reader, std::optional<std::chrono::milliseconds> limit) {
  auto end = std::chrono::steady_clock::now() + limit.value_or(std::chrono::milliseconds(0));
  for (;;) {
    KEELSON_TRY(auto frame, reader.next());
    if (frame) {
      return std::move(*frame);
    }
    int left = -1;
    if (limit) {
      auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now()).count();
      left = ms > 0 ? static_cast<int>(ms) : 0;
    }
    KEELSON_DO(wait_for(socket, POLLIN, left));
    KEELSON_TRY(bool more, reader.fill(socket));
    if (!more) {
      return fail(Kind::unavailable, "the shim has ended");
    }
  }
}

}  // namespace keelson::cri::shim
