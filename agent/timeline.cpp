// SPDX-License-Identifier: Apache-2.0
// Spans back to back.
#include "agent/timeline.h"

namespace keelson::agent {

Timeline::Timeline(const Clock& clock) : clock_(clock), begin_(clock.steady()) {
  spans_.push_back({.name = "queue"});
}

void Timeline::enter(std::string name, std::string container) {
  if (total_) {
    return;
  }
  Duration now = clock_.steady() - begin_;
  Span& last = spans_.back();
  if (last.name == name && last.container == container) {
    return;
  }
  last.length = now - last.start;
  spans_.push_back({.name = std::move(name), .container = std::move(container), .start = now});
}

void Timeline::close() {
  if (!total_) {
    total_ = clock_.steady() - begin_;
    spans_.back().length = *total_ - spans_.back().start;
  }
}

std::vector<Span> Timeline::spans() const {
  std::vector<Span> found = spans_;
  if (!total_) {
    found.back().length = total() - found.back().start;
  }
  std::erase_if(found, [](const Span& span) { return span.length == Duration(0); });
  return found;
}

Duration Timeline::total() const {
  return total_ ? *total_ : clock_.steady() - begin_;
}

}  // namespace keelson::agent
