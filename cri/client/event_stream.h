// SPDX-License-Identifier: Apache-2.0
// The stream of container events, connected again as often as it ends.
#pragma once

#include <atomic>
#include <memory>

#include "common/rpc/calls.h"
#include "cri/client/call_stats.h"
#include "cri/client/convert.h"
#include "cri/proto/api.grpc.pb.h"

namespace keelson::cri {

constexpr auto kFirstRetry = std::chrono::milliseconds(100);

/// What the event stream and the object share: the stream may end after the object. All but `calls` and `closed` belong
/// to the loop's thread.
struct Watch {
  Watch(Loop& l, std::shared_ptr<rpc::OpenCalls> c, std::shared_ptr<CallStats> s)
      : loop(l), calls(std::move(c)), stats(std::move(s)), timer(l.io()) {}
  Loop& loop;
  std::shared_ptr<rpc::OpenCalls> calls;
  const std::shared_ptr<CallStats> stats;
  std::function<void(ContainerEvent)> handle;
  std::function<void()> resync;
  std::function<void()> poll;  ///< The runtime has no stream: find out otherwise, from now on.
  v1::RuntimeService::Stub* stub = nullptr;
  asio::steady_timer timer;
  std::chrono::milliseconds retry = kFirstRetry;
  std::atomic<bool> closed = false;
};

/// Opens the stream, and again, ever later up to 5 s, each time it ends, until `closed`; or until the runtime says that
/// it has none.
void connect_events(const std::shared_ptr<Watch>& watch);

}  // namespace keelson::cri
