// SPDX-License-Identifier: Apache-2.0
// How the process does, for who debugs it; the kubelet's paths, behind its permission (nodes/proxy):
//   GET /debug/pprof/                         what there is
//   GET /debug/pprof/profile[?seconds=30]     where CPU time goes, for `go tool pprof`; ?debug=1: folded stacks, for
//                                             flame graphs
//   GET /debug/pprof/heap                     what malloc holds (malloc_info(3))
//   GET /debug/pprof/threads                  each thread: its name, its state, what the kernel has it wait for
//   GET /debug/pprof/cmdline
#pragma once

#include <memory>
#include <optional>

#include "common/loop.h"
#include "http/server.h"

namespace keelson::agent {

/// Belongs to the serving loop. One profile at a time; files and symbols are read on a thread of its own.
class ProfileEndpoints {
 public:
  /// `enabled`: enableProfilingHandler.
  ProfileEndpoints(Loop& loop, bool enabled);
  ~ProfileEndpoints();

  /// Nothing: the path is none of these.
  Task<std::optional<http::Response>> answer(http::Request request);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace keelson::agent
