// SPDX-License-Identifier: Apache-2.0
// What was collected, as Prometheus reads it: the text format 0.0.4.
#pragma once

#include <string>

#include "common/stats.h"

namespace keelson::metrics {

inline constexpr const char* kTextType = "text/plain; version=0.0.4; charset=utf-8";

/// Families in order of their names, each with # HELP and # TYPE; a family without samples is not shown.
std::string prometheus_text(const Stats& stats);

}  // namespace keelson::metrics
