// SPDX-License-Identifier: Apache-2.0
// What was collected, as Prometheus reads it: the text format 0.0.4.
#pragma once

#include <optional>
#include <string>

#include "common/clock.h"
#include "common/stats.h"

namespace keelson::metrics {

inline constexpr const char* kTextType = "text/plain; version=0.0.4; charset=utf-8";

/// Families in order of their names, each with # HELP and # TYPE; a family without samples is not shown. With `at`
/// every sample says that it is of that time.
std::string prometheus_text(const Stats& stats, std::optional<WallTime> at = {});

}  // namespace keelson::metrics
