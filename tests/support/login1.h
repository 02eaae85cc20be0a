// SPDX-License-Identifier: Apache-2.0
// A stand-in for systemd-logind on a real D-Bus daemon of the test's own: what a shutdown of the machine looks like to
// who holds an inhibitor.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace keelson::testing {

class Login1 {
 public:
  /// Where there is a dbus-daemon.
  static bool available();

  /// Files in `home`, which exists. `delay`: InhibitDelayMaxUSec. `config_dir`: whose 99-kubelet.conf it reads again
  /// when systemd is asked to send it SIGHUP.
  Login1(std::string home, std::chrono::seconds delay, std::string config_dir = "");
  ~Login1();

  /// Of the bus: "unix:path=...".
  std::string address() const;
  /// Who holds an inhibitor now, as it has said: "shutdown kubelet delay".
  std::vector<std::string> inhibitors() const;
  /// The signal PrepareForShutdown.
  void prepare_for_shutdown(bool going_down);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace keelson::testing
