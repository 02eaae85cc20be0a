// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime_conditions.h"

#include <fmt/format.h>

#include <algorithm>

namespace keelson::agent {

namespace {

/// As the kubelet prints a RuntimeCondition.
std::string lacking(const cri::RuntimeStatus& status, std::string_view type, std::string_view text) {
  const auto found = std::ranges::find(status.conditions, type, &cri::Condition::type);
  if (found == status.conditions.end()) {
    return fmt::format("{}: condition not set", text);
  }
  if (found->status) {
    return {};
  }
  return fmt::format("{}: {}=false reason:{} message:{}", text, type, found->reason, found->message);
}

}  // namespace

std::string runtime_lacks(const cri::RuntimeStatus& status) {
  return lacking(status, "RuntimeReady", "container runtime not ready");
}

std::string network_lacks(const cri::RuntimeStatus& status) {
  return lacking(status, "NetworkReady", "container runtime network not ready");
}

}  // namespace keelson::agent
