// SPDX-License-Identifier: Apache-2.0
// Durations as people write them.
#pragma once

#include <string>
#include <string_view>

#include "common/clock.h"

namespace keelson {

/// As Go's time.ParseDuration, without a sign: "4h", "1h30m", "1.5s", "500ms"; units are h, m, s, ms, us, ns, any
/// number of parts in any order. "0" needs no unit. Kind::invalid on anything else, and on more than a hundred years.
Result<Duration> parse_duration(std::string_view text);

/// As Go's time.Duration prints itself: "1h0m5s", "1.5s", "313ms", "0s".
std::string duration_text(Duration time);

}  // namespace keelson
