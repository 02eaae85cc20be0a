// SPDX-License-Identifier: Apache-2.0
// Plans as text.
#include "agent/testing.h"

#include <fmt/format.h>

namespace keelson::agent {

std::string print(const Plan& plan) {
  std::string text;
  for (const auto& step : plan.steps) {
    text += fmt::format("{}{}", text.empty() ? "" : ", ", to_string(step.kind));
    switch (step.kind) {
      case Step::Kind::create_sandbox:
        text += fmt::format(" {}", step.attempt);
        break;
      case Step::Kind::start_container:
        text += fmt::format(" {} {}", step.name, step.attempt);
        break;
      case Step::Kind::kill_container:
        text += fmt::format(" {} {} s", step.id, step.grace / std::chrono::seconds(1));
        for (const auto& id : step.after) {
          text += fmt::format("{}{}", &id == &step.after.front() ? " after " : " ", id);
        }
        break;
      default:
        text += step.id.empty() ? "" : " " + step.id;
    }
  }
  if (plan.wake) {
    text += fmt::format(" | wake +{} s", plan.wake->time_since_epoch() / std::chrono::seconds(1) - 1'700'000'000);
  }
  return text;
}

}  // namespace keelson::agent
