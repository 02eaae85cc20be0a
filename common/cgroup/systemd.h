// SPDX-License-Identifier: Apache-2.0
// systemd's manager (org.freedesktop.systemd1(5)), asked for transient units.
#pragma once

#include <string>
#include <vector>

#include "common/cgroup/unit_properties.h"
#include "common/result.h"

namespace keelson::cgroup {

/// PID 1 by its own socket, as systemctl of root: no message bus is needed. Each call is a connection of its own and
/// blocks until systemd has done it, for 30 s at most. Thread-safe.
class Systemd {
 public:
  /// Asks for its version. Kind::unavailable if nobody answers there: PID 1 is something else, or we are not root.
  static Result<Systemd> connect(std::string socket = "/run/systemd/private");

  /// StartTransientUnit; returns when the unit is active. Kind::exists if it is there already.
  Result<> start(const std::string& unit, const std::vector<UnitProperty>& properties) const;
  /// SetUnitProperties, until the next boot. Kind::not_found if there is no such unit.
  Result<> set(const std::string& unit, const std::vector<UnitProperty>& properties) const;
  /// StopUnit, and ResetFailedUnit: systemd forgets it. What is inside gets SIGTERM, and SIGKILL in the end. Absent is
  /// success.
  Result<> stop(const std::string& unit) const;

  const std::string& version() const { return version_; }

 private:
  explicit Systemd(std::string socket) : socket_(std::move(socket)) {}

  std::string socket_;
  std::string version_;
};

}  // namespace keelson::cgroup
