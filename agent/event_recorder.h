// SPDX-License-Identifier: Apache-2.0
// Events of this node's pods, kept in memory: repeats are counted, the oldest leave first.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "kube/event.h"
#include "kube/meta.h"

namespace keelson::agent {

enum class EventType { normal, warning };

/// Belongs to the agent's loop. Two events of one object with the same reason, message and field path are one with a
/// count.
class EventRecorder {
 public:
  /// Keeps at most `capacity` events. `host` is the node's name.
  EventRecorder(const Clock& clock, std::string host, size_t capacity = 5000);

  /// `container` may be empty; `list` is where in the pod's spec it stands: "spec.initContainers{...}".
  struct Subject {
    kube::ObjectMeta pod;
    std::string container;
    std::string_view list = "containers";
  };
  void record(const Subject& subject, EventType type, std::string_view reason, std::string message);
  /// Of another object than a pod (a bad manifest's ConfigMap), or of one that is only a name.
  void record(kube::ObjectReference about, EventType type, std::string_view reason, std::string message);

  /// Told each event as it is recorded; a repeat as the one event with its new count.
  void on_event(std::function<void(const kube::Event&)> listener) { listener_ = std::move(listener); }

  /// Those of a namespace (empty: all) and object name (empty: all), oldest first by their last time.
  std::vector<kube::Event> list(std::string_view ns, std::string_view name) const;

 private:
  const Clock& clock_;
  const std::string host_;
  const size_t capacity_;
  uint64_t next_ = 0;
  std::deque<kube::Event> events_;
  std::function<void(const kube::Event&)> listener_ = [](const kube::Event&) {};
};

}  // namespace keelson::agent
