// SPDX-License-Identifier: Apache-2.0
// One wait for many: who has changed something waits for the same look at the proxy as all who had before it began.
#pragma once

#include <mutex>

namespace keelson::services {

class SyncTurns {
 public:
  /// Returns once a call of `look` that began after this one has ended; makes it if nobody else does.
  template <class Look>
  void wait(Look look) {
    std::unique_lock entry(entry_);
    long mine = ++asked_;
    entry.unlock();
    std::scoped_lock turn(turn_);
    if (done_ >= mine) {
      return;
    }
    entry.lock();
    long covers = asked_;
    entry.unlock();
    look();
    done_ = covers;
  }

 private:
  std::mutex entry_, turn_;
  long asked_ = 0, done_ = 0;
};

}  // namespace keelson::services
