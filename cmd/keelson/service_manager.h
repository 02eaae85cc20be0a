// SPDX-License-Identifier: Apache-2.0
// The service manager that started the daemon (systemd, Type=notify): told when it is ready and when it stops, and that
// it lives (sd_notify(3), sd_watchdog_enabled(3)).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/loop.h"

namespace keelson::cli {

/// Where there is no manager nothing is done. Thread-safe.
class ServiceManager {
 public:
  /// Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment, so that no program that we start
  /// speaks for us (an OCI runtime would hand the socket on to its container). Before any thread is there.
  ServiceManager();

  void ready() const { tell("READY=1"); }
  void stopping() const { tell("STOPPING=1"); }
  void alive() const { tell("WATCHDOG=1"); }
  /// How often alive() is to be told, half of what the manager waits for; nullopt: it does not wait for that.
  std::optional<Duration> period() const { return period_; }

 private:
  void tell(std::string_view state) const;

  std::string socket_;  // empty: none
  std::optional<Duration> period_;
};

/// Tells that we live for as long as `loop` turns. Ends at once if nobody waits for that, else when it is cancelled.
Task<> keep_alive(Loop* loop, const ServiceManager* manager);

}  // namespace keelson::cli
