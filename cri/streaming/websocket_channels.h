// SPDX-License-Identifier: Apache-2.0
// Channels in WebSocket messages: v4 and v5.channel.k8s.io (channels.h).
#pragma once

#include <boost/asio/experimental/channel.hpp>

#include "cri/streaming/byte_stream.h"
#include "cri/streaming/channel_line.h"
#include "cri/streaming/server.h"

namespace keelson::cri {

class WebSocketChannels final : public ChannelLine {
 public:
  /// `socket` is accepted. `half_close`: the client speaks v5. `idle` outlives the line.
  WebSocketChannels(Loop& loop, WebSocket socket, AskedStreams asked, bool half_close, IdleWatch& idle);

  Task<Message> read() override;
  Task<> write(Channel channel, std::string data) override;
  Task<> finish(Result<int> ending) override;
  Task<> lost() override;

 private:
  Task<> send(Channel channel, std::string data);
  Task<> say_goodbye();

  Loop& loop_;
  WebSocket socket_;
  const AskedStreams asked_;
  const bool half_close_;
  IdleWatch& idle_;
  asio::experimental::channel<void(boost::system::error_code)> writing_;  // full while a message is on its way
};

}  // namespace keelson::cri
