// SPDX-License-Identifier: Apache-2.0
// What happens to containers, to whoever listens (CRI GetContainerEvents).
#pragma once

#include <condition_variable>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <optional>

#include "cri/proto/api.pb.h"

namespace keelson::cri {

/// Fans events out to subscribers. Thread-safe; publish() never waits for a reader.
class Events {
 public:
  using Event = ::runtime::v1::ContainerEventResponse;

  /// One reader's queue. A reader that falls 1,000 events behind is cut off: it relists when it comes back, which is
  /// the only way to be sure that nothing is lost.
  class Subscription {
   public:
    /// The next event, in order. nullopt: cut off, or the runtime stops; cut_off() tells which.
    std::optional<Event> next();
    bool cut_off() const;
    /// Wakes next() with nullopt: the reader's client has gone.
    void cancel();

   private:
    friend class Events;
    void push(const Event& event);
    mutable std::mutex mutex_;
    std::condition_variable ready_;
    std::deque<Event> queue_;
    bool closed_ = false;
    bool cut_off_ = false;
  };

  std::shared_ptr<Subscription> subscribe();
  void publish(const Event& event);
  /// Whether anybody listens: an event that nobody hears need not be built.
  bool heard() const;
  /// Ends all subscriptions, and every later one at once.
  void close();

 private:
  mutable std::mutex mutex_;
  std::list<std::weak_ptr<Subscription>> subscriptions_;
  bool closed_ = false;
};

}  // namespace keelson::cri
