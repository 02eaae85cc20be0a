// SPDX-License-Identifier: Apache-2.0
// Counting and bounding events.
#include "agent/event_recorder.h"

#include <fmt/format.h>

#include <algorithm>

namespace keelson::agent {

EventRecorder::EventRecorder(const Clock& clock, std::string host, size_t capacity)
    : clock_(clock), host_(std::move(host)), capacity_(capacity) {}

void EventRecorder::record(const Subject& subject, EventType type, std::string_view reason, std::string message) {
  kube::ObjectReference about{.kind = "Pod",
                              .ns = subject.pod.ns,
                              .name = subject.pod.name,
                              .uid = subject.pod.uid,
                              .api_version = "v1",
                              .resource_version = {},
                              .field_path = {}};
  if (!subject.container.empty()) {
    about.field_path = fmt::format("spec.{}{{{}}}", subject.list, subject.container);
  }
  record(std::move(about), type, reason, std::move(message));
}

void EventRecorder::record(kube::ObjectReference about, EventType type, std::string_view reason, std::string message) {
  WallTime now = clock_.wall();
  auto same = std::ranges::find_if(events_, [&](const kube::Event& event) {
    return event.reason == reason && event.message == message && event.involved_object == about;
  });
  if (same != events_.end()) {
    kube::Event event = std::move(*same);
    events_.erase(same);
    ++event.count;
    event.last_timestamp = now;
    listener_(events_.emplace_back(std::move(event)));
    return;
  }
  kube::Event event;
  event.metadata.ns = about.ns;
  event.metadata.name = fmt::format("{}.{:x}", about.name, (now.time_since_epoch().count() << 8) + (next_++ & 0xff));
  event.involved_object = std::move(about);
  event.reason = reason;
  event.message = std::move(message);
  event.source_component = event.reporting_component = "kubelet";
  event.source_host = event.reporting_instance = host_;
  event.first_timestamp = now;
  event.last_timestamp = now;
  event.type = type == EventType::normal ? "Normal" : "Warning";
  listener_(events_.emplace_back(std::move(event)));
  if (events_.size() > capacity_) {
    events_.pop_front();
  }
}

std::vector<kube::Event> EventRecorder::list(std::string_view ns, std::string_view name) const {
  std::vector<kube::Event> found;
  for (const auto& event : events_) {
    if ((ns.empty() || event.involved_object.ns == ns) && (name.empty() || event.involved_object.name == name)) {
      found.push_back(event);
    }
  }
  return found;
}

}  // namespace keelson::agent
