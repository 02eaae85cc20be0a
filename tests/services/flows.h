// SPDX-License-Identifier: Apache-2.0
// Senders: what a client sees of what it sends, in words that can be compared.
//
// "pod1 sees client": pod1 answered, and the source that it saw was an address of client. "pod1+otherpod see node" of
// several. ", answer from X": the client saw another peer than it had addressed. "refused", "no answer", "reset",
// "unreachable", "too big, MTU 1400". Different
// answers of several are parted by "; ". "as before": each socket met the server that the same step had met before
// ("same as NAME"); "not as before".
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/services/scenario.h"
#include "tests/services/world.h"

namespace keelson::services {

/// The flows of one scenario; on one thread.
class Flows {
 public:
  explicit Flows(World& world) : world_(world) {}

  /// `may_be_silent`: no answer may be the right one, so it is not waited for as long as on a busy machine.
  std::string send(const Send& send, bool may_be_silent);
  /// On a flow that was kept: "goes on" (the same server), "moved to pod2", or how it ended.
  std::string use(const std::string& name, bool may_be_silent);
  /// The server's side of a kept TCP flow sends a segment that belongs to no connection: an old one, come late.
  void stray(const std::string& name);

 private:
  /// What one socket saw.
  struct Seen {
    std::string server;        ///< Empty: none answered.
    uint16_t source_port = 0;  ///< Of the client, as the server saw it.
    std::string source;        ///< Its address.
    std::string rest;          ///< In words, without the server.
  };
  struct Flow {
    Fd socket;
    Send send;
    Seen seen;
  };

  Seen once(const Send& send, int turn, Fd* kept);
  Seen ask_stream(const Send& send, int fd, bool connect);
  Seen ask_datagram(const Send& send, int fd);
  std::string http(const Send& send);
  Seen answered(const Send& send, int fd, const std::string& text, const std::string& from, uint16_t port) const;

  World& world_;
  bool may_be_silent_ = false;  ///< Of the step that is carried out.
  std::map<std::string, Flow> flows_;
  std::map<std::string, std::vector<std::string>> servers_;  ///< That a named step has met, one after the other.
};

}  // namespace keelson::services
