// SPDX-License-Identifier: Apache-2.0
// A CPU profile as tools read it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "metrics/cpu_sampler.h"

namespace keelson::metrics {

struct CpuProfile {
  std::vector<StackSample> samples;
  Duration period{0};  ///< Of CPU time, between two samples.
  Duration length{0};  ///< How long it was taken, of wall time.
  WallTime at{};       ///< When it began.
};

using NameOf = std::function<std::string(uintptr_t address)>;

/// One line a stack, the outermost first behind its thread's name, and how often it was seen: what flamegraph.pl,
/// speedscope and inferno take. "kl-agent;main;work 12".
std::string folded_profile(const CpuProfile& profile, const NameOf& name_of);

/// profile.proto of github.com/google/pprof, not compressed: what `go tool pprof` takes.
std::string pprof_profile(const CpuProfile& profile, const NameOf& name_of);

}  // namespace keelson::metrics
