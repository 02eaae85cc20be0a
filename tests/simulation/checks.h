// SPDX-License-Identifier: Apache-2.0
// What must hold at every moment, and what must hold once all has been calm for a while.
#pragma once

#include <string>
#include <vector>

#include "tests/simulation/control_plane.h"
#include "tests/simulation/node.h"
#include "tests/simulation/user.h"

namespace keelson::simulation {

/// At every moment: statuses never go back and are of the pod's own containers, nothing is deleted that still runs, the
/// node stays Ready.
class Checks : public Auditor {
 public:
  /// Null until the runtime is there, which hears of us first.
  const Runtime* runtime = nullptr;

  /// What has gone wrong so far.
  const std::vector<std::string>& faults() const { return faults_; }

  void status_written(const json::object& before, const json::object& after) override;
  void deletion_asked(const json::object& pod) override;
  void node_written(const json::object& before, const json::object& after) override;
  void lease_written(const json::object& before, const json::object& after) override;
  void wrong(std::string text) override { faults_.push_back(std::move(text)); }

 private:
  std::vector<std::string> faults_;
};

/// What has not come right (yet): the API's pods and what runs, statuses, deletions, mirror pods, the node, its Lease.
std::vector<std::string> differences(ControlPlane& plane, const Runtime& runtime, const User& user, WallTime now);

}  // namespace keelson::simulation
