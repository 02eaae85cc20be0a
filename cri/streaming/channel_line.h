// SPDX-License-Identifier: Apache-2.0
// A client's connection seen as the channels of a remote command, whatever the framing.
#pragma once

#include <string>

#include "common/loop.h"
#include "cri/streaming/channels.h"

namespace keelson::cri {

/// Belongs to the loop's thread. One coroutine reads, any number write.
class ChannelLine {
 public:
  struct Message {
    Channel channel = Channel::in;  // in or resize
    std::string data;
    bool end = false;  // of stdin: the client sends no more
  };

  virtual ~ChannelLine() = default;
  /// Errors: the client is gone, or broke the protocol.
  virtual Task<Message> read() = 0;
  /// To out or err; waits until the connection has taken it. A channel that the client did not ask for, or has
  /// closed, swallows it.
  virtual Task<> write(Channel channel, std::string data) = 0;
  /// Tells how the command ended (its exit code, or why it could not run), and closes in order.
  virtual Task<> finish(Result<int> ending) = 0;
  /// Ends when the connection is broken, even while nobody reads.
  virtual Task<> lost() = 0;
};

}  // namespace keelson::cri
