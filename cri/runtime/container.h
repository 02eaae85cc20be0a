// SPDX-License-Identifier: Apache-2.0
// One container as the runtime knows it.
//
//   CREATED --start--> RUNNING --exit--> EXITED --remove--> gone
//      '------------- remove / sandbox lost ----'
//
// The record is the truth that survives; the exit arrives from the shim on the event thread, everything else from RPCs.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "cri/runtime/records.h"

namespace keelson::cri {

/// Thread-safe. Held by shared_ptr: a removed container lives until its last RPC ends.
class Container {
 public:
  Container(ContainerRecord record, Records& records);

  const std::string& id() const { return id_; }
  const std::string& sandbox_id() const { return sandbox_id_; }

  /// Calls `look` with the record, locked: copy out what is needed, never block inside.
  template <class F>
  auto read(F look) const {
    const std::scoped_lock lock(mutex_);
    return look(record_);
  }
  ContainerRecord record() const;
  ::runtime::v1::ContainerState state() const;

  /// Changes the record and writes it down; waiters wake. An error of the disk is returned, and the change stands in
  /// memory: the kernel's truth goes before ours.
  Result<> update(const std::function<void(ContainerRecord&)>& change);

  /// Takes the record away; whatever is told later (an exit that was on its way) changes memory alone.
  Result<> forget();
  bool forgotten() const;

  /// Waits until the container is not RUNNING, or until `deadline`. True: it is not.
  bool wait_stopped(std::chrono::steady_clock::time_point deadline) const;

  /// Held by CreateContainer, StartContainer and RemoveContainer while they act, so that they take turns.
  std::mutex& operation() { return operation_; }

 private:
  const std::string id_;
  const std::string sandbox_id_;
  Records& records_;
  std::mutex operation_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  ContainerRecord record_;
  bool forgotten_ = false;
};

}  // namespace keelson::cri
