// SPDX-License-Identifier: Apache-2.0
// One-time tickets to sessions: made by an RPC, taken by the client's connection.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "cri/streaming/server.h"

namespace keelson::cri {

/// Thread-safe. A ticket is good once, for one minute; a thousand wait at most (as the kubelet's own token cache).
class Tokens {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// Kind::exhausted when a thousand unexpired ones wait.
  Result<std::string> put(Offer offer, Time now);
  /// nullopt: never made, taken before, or too old.
  std::optional<Offer> take(const std::string& token, Time now);

 private:
  struct Ticket {
    Time expires;
    Offer offer;
  };
  std::mutex mutex_;
  std::map<std::string, Ticket> tickets_;
};

}  // namespace keelson::cri
