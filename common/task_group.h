// SPDX-License-Identifier: Apache-2.0
// The owner of spawned coroutines. Two problems without it: new work starts during shutdown, and nobody knows when the
// old work has ended. TaskGroup closes the door, cancels what is inside, and waits for it.
#pragma once

#include <memory>
#include <string>

#include "common/loop.h"

namespace keelson {

/// Owns coroutines of one Loop; all calls on that loop's thread. Must be closed (close() awaited, or the loop gone)
/// before it is destroyed; what the coroutines refer to must outlive them.
class TaskGroup {
 public:
  explicit TaskGroup(Loop& loop);
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  /// Starts `task`. An error other than Kind::cancelled, or an exception, is logged with `name`. After close() the task
  /// is dropped unrun.
  void spawn(std::string name, Task<> task);
  /// How many run now.
  size_t count() const;
  /// Asks all to end, without waiting; the door stays open.
  void cancel();
  /// Shuts the door, cancels all, and ends when all have ended.
  Task<> close();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace keelson
