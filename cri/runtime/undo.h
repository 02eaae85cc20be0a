// SPDX-License-Identifier: Apache-2.0
// Steps back: what was made on the way is unmade in reverse order, unless the end was reached.
#pragma once

#include <functional>
#include <vector>

namespace keelson::cri {

/// One operation's way back. One thread.
class Undo {
 public:
  Undo() = default;
  Undo(const Undo&) = delete;
  Undo& operator=(const Undo&) = delete;
  ~Undo() {
    for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
      (*step)();
    }
  }
  /// Adds a step. It must be able to run when its doing was only half done.
  void add(std::function<void()> step) { steps_.push_back(std::move(step)); }
  /// The end is reached: nothing is undone.
  void keep() { steps_.clear(); }

 private:
  std::vector<std::function<void()>> steps_;
};

}  // namespace keelson::cri
