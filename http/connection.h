// SPDX-License-Identifier: Apache-2.0
// Bytes both ways: what a handler gets that has taken over its client's connection (server.h, Response::take_over).
#pragma once

#include <cstddef>

#include <boost/asio/buffer.hpp>

#include "common/loop.h"

namespace keelson::http {

/// TCP, a unix socket, or TLS over TCP. Belongs to its loop; one read and one write at a time. Destroying it breaks it.
class Connection {
 public:
  virtual ~Connection() = default;

  /// At least one byte, into `into`, which stays until then; 0: the peer sends no more. Kind::unavailable: it is
  /// broken; cancelled.
  virtual Task<size_t> read(asio::mutable_buffer into) = 0;
  /// All of it; `bytes` stay until then. Errors as read().
  virtual Task<> write(asio::const_buffer bytes) = 0;
  /// Nothing more is written: the peer reads the end behind what was. Over TLS this waits for the peer's own end, and
  /// nothing may be read meanwhile or afterwards; so it is called under a deadline.
  virtual Task<> end_writing() = 0;
};

}  // namespace keelson::http
