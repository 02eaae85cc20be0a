// SPDX-License-Identifier: Apache-2.0
// Work on pods' folders, on threads: one at a time for a pod, and none that was queued before the pod was cleaned up.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "common/result.h"

namespace keelson::agent {

/// A pod's folder and mounts are worked on by one thread at a time.
struct PodWork {
  std::timed_mutex turn;
  std::atomic<uint64_t> cleanings = 0;  ///< What was queued before the last one does nothing.
};

/// A turn at the pod's folder, for work that was queued when there had been so many `cleanings`. What waits longer than
/// 10 s gives up: what hangs shall not take the whole pool of threads with it. Kind::timeout: another has it;
/// Kind::cancelled: the pod was cleaned up meanwhile. Thread-safe.
inline Result<std::unique_lock<std::timed_mutex>> take_turn(PodWork& work, uint64_t cleanings, const std::string& uid) {
  std::unique_lock lock(work.turn, std::chrono::seconds(10));
  if (!lock) {
    return fail(Kind::timeout, "earlier work on the folders of pod {} has not ended", uid);
  }
  if (work.cleanings != cleanings) {
    return fail(Kind::cancelled, "pod {} has gone", uid);
  }
  return lock;
}

/// By uid, while any work is queued. Belongs to one thread.
class PodWorks {
 public:
  std::shared_ptr<PodWork> of(const std::string& uid) {
    std::erase_if(works_, [](const auto& entry) { return entry.second.expired(); });
    auto work = works_[uid].lock();
    if (!work) {
      work = std::make_shared<PodWork>();
      works_[uid] = work;
    }
    return work;
  }

 private:
  std::map<std::string, std::weak_ptr<PodWork>> works_;
};

}  // namespace keelson::agent
