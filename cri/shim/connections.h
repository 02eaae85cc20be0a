// SPDX-License-Identifier: Apache-2.0
// Those who talk to a shim: their requests in, its replies and events out. Nobody can make the shim wait.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "cri/shim/frames.h"
#include "cri/shim/listener.h"
#include "cri/shim/poller.h"

namespace keelson::cri::shim {

/// What a request has led to.
struct Answer {
  std::vector<ProcessStatus> statuses;
  Fd fd;  ///< passed along
};

/// All connections, by number. A number is never given again, so a late answer goes to nobody.
///
/// What a peer does not read waits here, up to kMostUnsent; a peer that lets more come together is let go. It connects
/// and asks for the state again, and has missed nothing but time.
class Connections {
 public:
  static constexpr size_t kMostUnsent = 256 << 10;

  Connections(Listener listener, Poller& poller);

  void accept_one();
  /// Reads what has come on connection `number`; `take` gets each whole frame, and may answer at once or later.
  void hear(uint32_t number, const std::function<void(Frame)>& take);
  /// The peer reads again.
  void send_rest(uint32_t number);

  void reply(uint32_t number, Result<Answer> answer);
  void subscribe(uint32_t number);
  /// Tells all subscribers. Never blocks.
  void publish(const ProcessStatus& status);

  size_t count() const { return connections_.size(); }
  /// Nobody can connect any more.
  void close_door() {
    door_.end();
    listener_.close();
  }

 private:
  struct Unsent {
    std::string bytes;
    std::vector<Fd> fds;  ///< they go with the first byte
  };
  struct Connection {
    Fd socket;
    Poller::Watch watch;
    FrameReader reader;
    std::deque<Unsent> unsent;
    size_t unsent_bytes = 0;
    bool subscribed = false;
    bool waits_for_room = false;
  };
  using Entry = std::map<uint32_t, Connection>::iterator;

  /// False if the connection is to go.
  bool send(Entry entry, std::string bytes, std::vector<Fd> fds);
  bool flush(Entry entry);

  Listener listener_;
  Poller& poller_;
  Poller::Watch door_;
  uint32_t last_number_ = 0;
  std::map<uint32_t, Connection> connections_;
};

}  // namespace keelson::cri::shim
