// SPDX-License-Identifier: Apache-2.0
// Tells those who follow logs when to look again, by inotify(7): a line is shown at once, and a silent log costs
// nothing.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include <boost/asio/experimental/channel.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "common/loop.h"
#include "common/result.h"

namespace keelson::agent {

/// One inotify instance for all logs (a user has only 128 of those). Belongs to one loop.
class LogWatcher : public std::enable_shared_from_this<LogWatcher> {
 public:
  /// One follower's watch on the folder of one log: growth, rotation, removal and making of any file in it are told.
  /// A file that was renamed or removed is told of as long as somebody writes to it.
  class Watch {
   public:
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

    /// Ends when something has happened since the last changed(), or since watch(). Kind::cancelled.
    Task<> changed();
    /// As if something had happened.
    void poke();

   private:
    friend LogWatcher;
    Watch(Loop& loop, std::weak_ptr<LogWatcher> watcher, int folder)
        : watcher_(std::move(watcher)), folder_(folder), pokes_(loop.io(), 1) {}
    const std::weak_ptr<LogWatcher> watcher_;
    const int folder_;                                                    // the kernel's number
    asio::experimental::channel<void(boost::system::error_code)> pokes_;  // full: something has happened
  };

  /// Kind::exhausted: raise fs.inotify.max_user_instances.
  static Result<std::shared_ptr<LogWatcher>> open(Loop& loop);

  /// Passes on what the kernel tells, until cancelled. Spawned once, by the owner.
  static Task<> run(std::shared_ptr<LogWatcher> self);
  /// Kind::not_found: the folder of `path` is not there; exhausted: raise fs.inotify.max_user_watches.
  Result<std::unique_ptr<Watch>> watch(const std::string& path);
  /// Pokes every follower: what they follow may have ended.
  void poke_all();
  size_t folders() const { return watches_.size(); }

 private:
  explicit LogWatcher(Loop& loop) : loop_(loop), events_(loop.io()) {}
  void tell(int folder);
  void forget(Watch* watch);

  Loop& loop_;
  asio::posix::stream_descriptor events_;
  std::map<int, std::set<Watch*>> watches_;  // by folder
};

}  // namespace keelson::agent
