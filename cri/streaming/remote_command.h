// SPDX-License-Identifier: Apache-2.0
// A process's streams over one WebSocket.
//
//   client --0, 4, 255--> read_client --> in, resize          out, err --> pump --1, 2--> client, then 3: the exit
//   status
#pragma once

#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "common/loop.h"
#include "cri/streaming/server.h"

namespace keelson::cri {

using WebSocket = boost::beast::websocket::stream<asio::ip::tcp::socket>;

/// Belongs to the loop's thread. run() is called once and ends when the process, or the client, is gone.
class RemoteCommand {
 public:
  /// `waiter` is the session's own thread, for StreamSession::wait. `half_close`: the client speaks v5.
  RemoteCommand(Loop& loop, asio::thread_pool& waiter, WebSocket& socket, StreamSession session, bool half_close);

  Task<> run();

 private:
  using Descriptor = asio::posix::stream_descriptor;

  Task<> finish();
  Task<int> wait_exit();
  Task<> pump_both();
  Task<> pump(Descriptor* from, Channel channel);
  Task<> read_client();
  Task<> take(std::string message);
  Task<> send(Channel channel, std::string data);
  void close_output();

  asio::thread_pool& waiter_;
  WebSocket& socket_;
  std::shared_ptr<StreamSession> session_;
  const bool half_close_;
  Descriptor in_;
  Descriptor out_;
  Descriptor err_;
  asio::steady_timer drain_;
  asio::experimental::channel<void(boost::system::error_code)> writing_;  // full while a message is on its way
};

}  // namespace keelson::cri
