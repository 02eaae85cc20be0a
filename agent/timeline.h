// SPDX-License-Identifier: Apache-2.0
// Where a pod's start went: spans that follow one another and sum to the total.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/clock.h"

namespace keelson::agent {

/// A stretch of a pod's start. `start` counts from the pod's acceptance.
struct Span {
  std::string name;       ///< "queue", "mounts", "sandbox", "pull", "create", "start", "ready" ...
  std::string container;  ///< Empty: the pod's.
  Duration start{0};
  Duration length{0};
};

/// One pod's spans. What is not inside a named span is "wait" (of the pod), so the lengths always sum to total().
class Timeline {
 public:
  /// Begins now.
  explicit Timeline(const Clock& clock);
  /// Ends the running span and begins one. Nothing happens once close() was called.
  void enter(std::string name, std::string container = {});
  /// Back to waiting.
  void leave() { enter("wait"); }
  /// The pod is ready (or has ended): the total stands.
  void close();
  bool closed() const { return total_.has_value(); }
  /// Empty spans are left out, neighbours of one name are joined.
  std::vector<Span> spans() const;
  Duration total() const;

 private:
  const Clock& clock_;
  const SteadyTime begin_;
  std::vector<Span> spans_;
  std::optional<Duration> total_;
};

}  // namespace keelson::agent
