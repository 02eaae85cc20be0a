// SPDX-License-Identifier: Apache-2.0
// Help with keys that nobody knows.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace keelson::cli {

/// "; did you mean NAME?" of the nearest of `known`; "" if none is near.
std::string did_you_mean(std::string_view key, const std::vector<std::string_view>& known);

}  // namespace keelson::cli
