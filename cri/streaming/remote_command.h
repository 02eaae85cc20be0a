// SPDX-License-Identifier: Apache-2.0
// A process's streams over one client's line.
//
//   client --in, resize--> read_client --> queue --> feed_input --> in      out, err --> pump --> client, at last the
//   exit status
#pragma once

#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "common/loop.h"
#include "cri/streaming/channel_line.h"
#include "cri/streaming/server.h"

namespace keelson::cri {

/// Belongs to the loop's thread. run() is called once and ends when the process, or the client, is gone.
class RemoteCommand {
 public:
  /// `waiter` is the session's own thread, for StreamSession::wait. It and `line` outlive this.
  RemoteCommand(Loop& loop, asio::thread_pool& waiter, ChannelLine& line, StreamSession session);

  Task<> run();

 private:
  using Descriptor = asio::posix::stream_descriptor;

  Task<> finish();
  Task<int> wait_exit();
  Task<> pump_both();
  Task<> pump(Descriptor* from, Channel channel);
  Task<> pump_rest(Descriptor* from, Channel channel);
  Task<> read_client();
  Task<> feed_input();
  void resize(const std::string& text);
  void end_output();

  Loop& loop_;
  asio::thread_pool& waiter_;
  ChannelLine& line_;
  std::shared_ptr<StreamSession> session_;
  bool ended_ = false;    // the process; nobody is hung up on
  bool overdue_ = false;  // the output, after the end
  Descriptor in_;
  Descriptor out_;
  Descriptor err_;
  asio::experimental::channel<void(boost::system::error_code)> pumped_;              // full once all output is told
  asio::experimental::channel<void(boost::system::error_code, std::string)> input_;  // an empty text: the end
};

}  // namespace keelson::cri
