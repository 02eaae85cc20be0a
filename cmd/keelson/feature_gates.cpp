// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/feature_gates.h"

#include <fmt/format.h>

namespace keelson::cli {

namespace {

std::string_view name_of(std::string_view text) {
  return text.substr(0, text.find('='));
}

std::string_view value_of(std::string_view text) {
  const size_t sign = text.find('=');
  return sign == std::string_view::npos ? "" : text.substr(sign + 1);
}

}  // namespace

bool gate(const NodeConfig& config, std::string_view name, bool otherwise) {
  bool on = otherwise;
  for (const auto& text : config.feature_gates) {
    on = name_of(text) == name ? value_of(text) == "true" : on;
  }
  return on;
}

Result<> check_gates(const NodeConfig& config) {
  for (const auto& text : config.feature_gates) {
    if (const auto value = value_of(text); value != "true" && value != "false") {
      return fail(Kind::invalid, "featureGates: '{}' is neither NAME=true nor NAME=false", text);
    }
  }
  return {};
}

void note_gates(NodeConfig& config) {
  for (const auto& text : config.feature_gates) {
    if (const auto name = name_of(text); name != kAlphaCpuOptions && name != kBetaCpuOptions && name != kVolumeHealth) {
      config.notes.push_back(fmt::format("featureGates: {} is not applied: there is no such gate here", text));
    }
  }
}

}  // namespace keelson::cli
