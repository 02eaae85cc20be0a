// SPDX-License-Identifier: Apache-2.0
// Time as a parameter: the real clock, and one that a test moves by hand.
#pragma once

#include <chrono>
#include <string>

#include "common/result.h"

namespace keelson {

using Duration = std::chrono::nanoseconds;
using SteadyTime = std::chrono::time_point<std::chrono::steady_clock, Duration>;
using WallTime = std::chrono::time_point<std::chrono::system_clock, Duration>;

/// The two clocks a part may read. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  /// Never goes back; for deadlines and intervals.
  virtual SteadyTime steady() const = 0;
  /// Calendar time; for timestamps that people and APIs see.
  virtual WallTime wall() const = 0;
};

/// The machine's clocks. One object for the process, never destroyed.
Clock& real_clock();

/// Stands still until advance(). Not thread-safe: belongs to the test's thread. Pair it with Loop::advance().
class FakeClock : public Clock {
 public:
  SteadyTime steady() const override { return steady_; }
  WallTime wall() const override { return wall_; }
  void advance(Duration by) {
    steady_ += by;
    wall_ += by;
  }

 private:
  SteadyTime steady_{std::chrono::hours(1)};
  WallTime wall_{std::chrono::seconds(1'700'000'000)};
};

/// "2023-11-14T22:13:20Z": seconds, UTC, as metav1.Time prints.
std::string format_rfc3339(WallTime time);
/// "2023-11-14T22:13:20.000000001Z": always nine digits, as CRI log lines.
std::string format_rfc3339_nano(WallTime time);
/// Either form, with any offset. Kind::invalid on anything else.
Result<WallTime> parse_rfc3339(const std::string& text);

/// kubectl's short age: "5s", "3m12s", "2h", "3d4h", "400d" (k8s.io/apimachinery duration.HumanDuration).
std::string human_duration(Duration age);

}  // namespace keelson
