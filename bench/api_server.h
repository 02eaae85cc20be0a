// SPDX-License-Identifier: Apache-2.0
// As much of an API server as a list and a watch need, with objects made up and their text at hand: it costs a bench
// what sending costs. A process of its own, so that its memory and time are not the measured one's.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "common/clock.h"
#include "common/fd.h"

namespace keelson::bench {

/// `services` Services (bench/s000000 ...) with 2 endpoints each in one EndpointSlice.
class ApiServer {
 public:
  /// Serves on a port of 127.0.0.1 of this thread's network namespace.
  explicit ApiServer(uint32_t services);
  ~ApiServer();
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  uint16_t port() const { return shared_->port; }
  /// A kubeconfig for it, as text.
  std::string kubeconfig() const;
  /// When the last page of the last list was handed to the socket (CLOCK_MONOTONIC).
  SteadyTime lists_sent() const { return SteadyTime(Duration(shared_->lists_sent.load())); }
  /// Moves an endpoint of this service, as an event of the watch; returns when it was sent.
  SteadyTime change(uint32_t service);

 private:
  struct Shared {
    std::atomic<int64_t> lists_sent{0};
    std::atomic<int64_t> event_sent{0};
    std::atomic<uint32_t> events{0};
    uint16_t port = 0;
  };
  void serve(uint32_t services, int commands, int ready);

  Shared* shared_ = nullptr;
  pid_t child_ = -1;
  Fd commands_;
};

}  // namespace keelson::bench
