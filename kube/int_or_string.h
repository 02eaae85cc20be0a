// SPDX-License-Identifier: Apache-2.0
// A port by number or by name.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

namespace keelson::kube {

/// intstr.IntOrString: a number, or the name of a container port. 0 when not given.
struct IntOrString {
  std::variant<int32_t, std::string> value = int32_t{0};

  bool is_number() const { return value.index() == 0; }
  int32_t number() const { return is_number() ? std::get<0>(value) : 0; }
  /// The name; empty for a number.
  std::string name() const { return is_number() ? std::string() : std::get<1>(value); }
  std::string to_string() const { return is_number() ? std::to_string(std::get<0>(value)) : std::get<1>(value); }

  bool operator==(const IntOrString&) const = default;
};

}  // namespace keelson::kube
