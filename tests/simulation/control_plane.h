// SPDX-License-Identifier: Apache-2.0
// Two API servers over one store, behind one address, and the wires to them.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <random>

#include "tests/simulation/faults.h"
#include "tests/simulation/rest.h"
#include "tests/simulation/watch_cache.h"

namespace keelson::simulation {

/// How many requests came when.
class RequestCount {
 public:
  void add(SteadyTime now, const std::string& what);
  /// All connections have broken, or the servers are back: the requests of the next second count as a reconnect's.
  void mark_break(SteadyTime now);
  uint64_t worst_after_break() const { return worst_after_break_; }
  uint64_t total() const { return total_; }
  /// In the second that had most of them; in the ten seconds.
  uint64_t worst_second() const { return worst_second_; }
  uint64_t worst_ten() const { return worst_ten_; }
  /// "PATCH pods/status": 412.
  const std::map<std::string, uint64_t>& by_kind() const { return by_kind_; }

 private:
  std::deque<SteadyTime> recent_;
  uint64_t total_ = 0;
  uint64_t worst_second_ = 0;
  uint64_t worst_ten_ = 0;
  std::optional<SteadyTime> break_;
  uint64_t after_break_ = 0;
  uint64_t worst_after_break_ = 0;
  std::map<std::string, uint64_t> by_kind_;
};

class Wire;

/// On one loop. Outlives its wires.
class ControlPlane {
 public:
  static constexpr size_t kServers = 2;

  ControlPlane(Loop& loop, uint64_t seed, Auditor& auditor);

  ObjectStore store;
  Faults faults;
  RequestCount requests;

  /// A client's transport.
  std::unique_ptr<kube::Transport> connect();

  /// Nobody answers, until back(): connections break, new ones are refused.
  void go_away();
  void back();
  bool away() const { return away_; }
  /// Every connection breaks; new ones are made.
  void cut_connections();
  /// One server restarts: what is connected to it breaks, and its cache begins anew.
  void restart_server();
  void send_bookmarks();
  size_t watch_count();

 private:
  friend class Wire;
  struct Server {
    Server(Loop& loop, const ObjectStore& store, std::mt19937_64& random, const Faults& faults)
        : cache(loop, store, random, faults) {}
    WatchCache cache;
    uint64_t life = 0;  ///< Connections of an earlier one are broken.
  };

  Task<> serve(std::weak_ptr<WireTransfer> transfer, size_t server, uint64_t life);
  void answer(WireTransfer& transfer, const Reply& reply);
  std::optional<Reply> refusal(const std::string& method, const Target& target);
  Task<Reply> list(size_t server, Target target);
  void break_connection(size_t server);
  bool chance(int of_1000) { return static_cast<int>(random_() % 1000) < of_1000; }

  Loop& loop_;
  std::mt19937_64 random_;
  Rest rest_;
  std::vector<std::unique_ptr<Server>> servers_;
  std::vector<Wire*> wires_;
  bool away_ = false;
  TaskGroup tasks_;
};

}  // namespace keelson::simulation
