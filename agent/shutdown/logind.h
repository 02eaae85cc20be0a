// SPDX-License-Identifier: Apache-2.0
// The delay inhibitor of systemd-logind: the machine's shutdown is told, and waits (systemd's "Inhibitor Locks").
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace keelson::agent {

struct LogindOptions {
  std::string bus;  ///< "unix:path=..."; empty: the system's, or $DBUS_SYSTEM_BUS_ADDRESS
  /// How long a shutdown should wait for us. Where logind grants less, it is asked for so much by a file of its
  /// configuration, as by the kubelet.
  std::chrono::seconds delay{0};
  std::string config_dir = "/etc/systemd/logind.conf.d";
  std::chrono::milliseconds retry = std::chrono::seconds(10);  ///< Between attempts to reach it.
  /// The machine is about to go down, or will not after all. On a thread of this object's own.
  std::function<void(bool going_down)> tell = [](bool) {};
};

/// Holds the inhibitor from when logind can be reached, on a thread of its own ("kl-logind"). That it cannot is logged
/// once, and tried again. release() from any thread.
class LogindInhibitor {
 public:
  explicit LogindInhibitor(LogindOptions options);
  /// Lets go of it.
  ~LogindInhibitor();
  LogindInhibitor(const LogindInhibitor&) = delete;
  LogindInhibitor& operator=(const LogindInhibitor&) = delete;

  /// The machine may go down as far as we are concerned. A shutdown that is called off takes the inhibitor anew.
  void release();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace keelson::agent
