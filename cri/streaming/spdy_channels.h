// SPDX-License-Identifier: Apache-2.0
// Channels as SPDY streams: channel.k8s.io and its versions 2 to 4.
//
// The client opens a stream a channel, named by the header "streamtype": error, stdin, stdout, stderr, resize.
// Versions: 4 tells the end as a metav1.Status in JSON on the error stream; 3 as text, and only a failure; 2 has no
// resize; 1 closes stdin and error at once, as the first kubelets did. Source: kubelet pkg/cri/streaming/remotecommand.
#pragma once

#include <deque>

#include "cri/streaming/channel_line.h"
#include "cri/streaming/server.h"
#include "cri/streaming/spdy_connection.h"

namespace keelson::cri {

/// "v4.channel.k8s.io" is 4, "channel.k8s.io" 1; nullopt if it is none of them.
std::optional<int> spdy_protocol_version(std::string_view name);

class SpdyChannels final : public ChannelLine {
 public:
  SpdyChannels(Loop& loop, std::unique_ptr<ByteStream> bytes, AskedStreams asked, int version);

  /// Awaits the streams that belong to what was asked; before anything else, and under the caller's deadline.
  Task<> gather();

  Task<Message> read() override;
  Task<> write(Channel channel, std::string data) override;
  Task<> finish(Result<int> ending) override;
  Task<> lost() override { return connection_.lost(); }

 private:
  struct Streams {
    uint32_t in = 0;
    uint32_t out = 0;
    uint32_t err = 0;
    uint32_t error = 0;
    uint32_t resize = 0;
  };
  bool complete() const;
  void open(const SpdyFrame& frame);
  void take(SpdyFrame frame);
  void take_resize(std::string_view data);

  SpdyConnection connection_;
  const AskedStreams asked_;
  const int version_;
  Streams streams_;  // 0: not opened, or reset by the client
  bool gathered_ = false;
  std::deque<Message> arrived_;
  std::string resize_text_;  // the part of a size that has come
};

}  // namespace keelson::cri
