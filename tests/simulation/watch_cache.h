// SPDX-License-Identifier: Apache-2.0
// One API server's watch cache (k8s.io/apiserver pkg/storage/cacher): what it has heard of etcd so far, and who
// follows.
//
// It lags behind the store by a while that changes. Lists with a resourceVersion, and all watches, are of what it has;
// what it does not remember any more is 410.
#pragma once

#include <deque>
#include <list>
#include <map>
#include <random>
#include <string>

#include "common/task_group.h"
#include "tests/simulation/faults.h"
#include "tests/simulation/rest.h"
#include "tests/simulation/wire_transfer.h"

namespace keelson::simulation {

class WatchCache {
 public:
  WatchCache(Loop& loop, const ObjectStore& store, std::mt19937_64& random, const Faults& faults);

  /// The store has changed. It is known here after the lag of now; each kind's changes in their order.
  void hear(const std::string& kind, const Change& change);
  /// As a restart of the server: what it has is the newest, of what was before it knows nothing.
  void restart();
  /// All watches end as their connections do.
  void drop_watches();
  void send_bookmarks();

  /// A list, or a page of one. 504 while the version asked for has not come: ask again a little later, three seconds in
  /// all.
  Reply list(const Target& target);
  /// One object, as of this cache.
  Reply get(const Target& target);
  /// Answers by the transfer, for as long as somebody reads it.
  void watch(const std::shared_ptr<WireTransfer>& transfer, const Target& target);

  size_t watch_count(const std::string& kind);
  size_t watch_count();

 private:
  struct Part {
    SteadyTime due;
    std::string key;  ///< Of the object; empty: no other may overtake it.
    std::string text;
    bool cut = false;  ///< The connection breaks in the middle of it.
  };
  struct Follower {
    std::weak_ptr<WireTransfer> transfer;
    Target target;
    uint64_t from = 0;  ///< What it has seen.
    std::deque<Part> parts;
    SteadyTime ends;
  };
  struct Late {
    SteadyTime due;
    Change change;
  };
  struct OfKind {
    Objects objects;
    uint64_t version = 0;
    uint64_t oldest = 0;  ///< A watch may begin here, or later.
    std::deque<Change> window;
    std::deque<Late> late;
    std::list<Follower> followers;
  };
  struct Snapshot {
    Objects objects;
    uint64_t version = 0;
  };

  OfKind& kind(const std::string& name);
  uint64_t reached(const OfKind& kind) const;
  void apply(OfKind& kind, const Change& change);
  void enqueue(Follower& follower, Part part);
  void tell(Follower& follower, const Change& change);
  void deliver();
  bool flush(Follower& follower);
  void deliver_after(Duration wait);
  Task<> wake(Duration wait);
  Reply page(const Target& target, const Snapshot& snapshot, size_t from);

  bool chance(int of_1000) { return static_cast<int>(random_() % 1000) < of_1000; }
  Duration up_to(Duration most) { return Duration(static_cast<Duration::rep>(random_() % (most.count() + 1))); }

  Loop& loop_;
  const ObjectStore& store_;
  std::mt19937_64& random_;
  const Faults& faults_;
  std::map<std::string, OfKind> kinds_;
  std::map<std::string, Snapshot> snapshots_;  // by continue token
  uint64_t tokens_ = 0;
  TaskGroup tasks_;
};

}  // namespace keelson::simulation
