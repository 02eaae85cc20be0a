// SPDX-License-Identifier: Apache-2.0
// What became of packets, for people: the last ones in memory, and a stream to each who follows.
//
// Drops and rejects are always told by the programs (so many a second at most); flows that begin only while somebody
// follows. Each follower has a queue of its own, of bounded length: what a slow one misses is counted and told to it.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <string>

#include <boost/json/value.hpp>

#include "ebpf/flow_events.h"
#include "http/server.h"
#include "network/pod_names.h"
#include "network/router.h"

namespace keelson::network {

/// An event with the names of its moment: rows are given to others later.
struct FlowRecord {
  kl_event event{};
  std::string service;  ///< "default/web:http"; empty: of none.
  WallTime time{};
};

/// time, verdict (FORWARDED, DROPPED, REJECTED), protocol, source, destination, service, reason, text, hook, link; and,
/// where it goes on, backend and masqueradedAs; sourcePod and backendPod where they are known.
boost::json::object flow_json(const FlowRecord& record, PodNames& pods);

struct FlowQuery {
  bool follow = false;
  bool drops_only = false;
  size_t last = 0;  ///< So many of those in memory first.

  /// Of ?follow=&drop=&last=. Kind::invalid names what is wrong.
  static Result<FlowQuery> parse(const http::Target& target);
};

/// Belongs to the router's loop. Must not be destroyed while run() or a stream has not ended.
class FlowLog {
 public:
  FlowLog(Loop& loop, Router& router);
  /// Reads events until cancelled.
  Task<> run();
  /// A line of JSON each. With `follow` until the client leaves; {"lost": 3}: so many were not told.
  Task<> write(http::Sink sink, FlowQuery query);

 private:
  struct Follower {
    explicit Follower(Loop& loop) : wake(loop.io()) {}
    std::deque<FlowRecord> queue;
    uint64_t lost = 0;
    bool drops_only = false;
    asio::steady_timer wake;
  };
  using Followers = std::list<Follower>;
  void take(const kl_event& event);
  Task<> follow(http::Sink sink, Followers::iterator self);
  void leave(Followers::iterator self);
  Result<> tell_flows();
  std::string line(const FlowRecord& record);

  Loop& loop_;
  Router& router_;
  PodNames pods_;
  std::deque<FlowRecord> last_;
  Followers followers_;
};

}  // namespace keelson::network
