// SPDX-License-Identifier: Apache-2.0
// Connections on which no request is under way, longest first.
//
// A server takes so many connections and no more, and anybody can open one. Who says nothing, or has been refused and
// stays, would keep out whoever has something to ask; so it goes first when another comes.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <utility>

#include "http/stream.h"

namespace keelson::http {

/// Belongs to a loop.
class Waiting {
 public:
  /// `begun` is called whenever another connection begins to wait.
  explicit Waiting(std::function<void()> begun = [] {}) : begun_(std::move(begun)) {}
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

  /// One connection, while it waits. Both outlive it.
  class Place {
   public:
    Place(Waiting& all, Stream& stream)
        : all_(all), stream_(stream), where_(all.places_.insert(all.places_.end(), this)) {
      all_.begun_();
    }
    ~Place() {
      if (dropped_) {
        --all_.dropped_;
      } else {
        all_.places_.erase(where_);
      }
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

   private:
    friend class Waiting;
    Waiting& all_;
    Stream& stream_;
    std::list<Place*>::iterator where_;
    bool dropped_ = false;
  };

  /// Breaks the connection that has waited longest; what is read from or written to it fails from then on. False: none
  /// waits.
  bool drop_longest() {
    if (places_.empty()) {
      return false;
    }
    Place& longest = *places_.front();
    places_.pop_front();
    longest.dropped_ = true;
    ++dropped_;
    boost::system::error_code ignored;
    longest.stream_.socket().close(ignored);
    return true;
  }
  size_t size() const { return places_.size(); }
  /// Those that were broken and have not ended yet.
  size_t dropped() const { return dropped_; }

 private:
  std::function<void()> begun_;
  std::list<Place*> places_;
  size_t dropped_ = 0;
};

}  // namespace keelson::http
