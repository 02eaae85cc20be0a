// SPDX-License-Identifier: Apache-2.0
// Where this process spends its CPU time: its running thread's stack, so many times a second of CPU (SIGPROF,
// setitimer(2)). What does not run takes no sample, and costs nothing.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "common/clock.h"
#include "common/result.h"

namespace keelson::metrics {

/// One sample: return addresses, the innermost first.
struct StackSample {
  pid_t thread = 0;
  std::vector<uintptr_t> addresses;
};

/// At most one at a time in a process. Made and ended on any thread.
class CpuSampler {
 public:
  /// A sample for each `period` of CPU time, at most `most` of them. Kind::conflict: another one runs.
  static Result<std::unique_ptr<CpuSampler>> start(Duration period, size_t most);
  /// Takes no more; what it has taken is gone with it.
  ~CpuSampler();
  CpuSampler(const CpuSampler&) = delete;
  CpuSampler& operator=(const CpuSampler&) = delete;

  /// Takes no more, and answers what was taken. Waits for a sample that is just being taken.
  std::vector<StackSample> stop();

 private:
  CpuSampler() = default;
};

}  // namespace keelson::metrics
