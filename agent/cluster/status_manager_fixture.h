// SPDX-License-Identifier: Apache-2.0
// For tests: a status manager on a small API and a fake clock.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "agent/cluster/small_api.h"
#include "agent/cluster/status_manager.h"
#include "common/log.h"

namespace keelson::agent::testing {

using namespace std::chrono_literals;

inline kube::Pod make_pod(const std::string& name, const std::string& uid,
                          kube::PodPhase phase = kube::PodPhase::pending) {
  kube::Pod pod;
  pod.metadata.name = name;
  pod.metadata.ns = "default";
  pod.metadata.uid = uid;
  pod.status.phase = phase;
  return pod;
}

inline kube::Pod deleting(kube::Pod pod) {
  pod.metadata.deletion_timestamp = WallTime(1s);
  return pod;
}

class StatusManagerTest : public ::testing::Test {
 protected:
  StatusManagerTest() {
    log::set_level(log::Level::off);
    api.changed = [this](const std::string& name, const std::optional<kube::Pod>& pod) {
      if (pod) {
        manager->api_has(*pod);
      } else {
        manager->api_lost(name);
      }
    };
  }
  ~StatusManagerTest() override {
    closing.spawn("close", manager->close());
    loop.run_until_idle();
    manager.reset();
    loop.run_until_idle();
  }
  std::optional<kube::PodPhase> phase(const std::string& name) { return api.pods.at("default/" + name).status.phase; }

  FakeClock clock;
  Loop loop{clock, "test"};
  SmallApi api{loop};
  TaskGroup closing{loop};
  std::unique_ptr<StatusManager> manager = std::make_unique<StatusManager>(loop, api.call(), 7);
};

}  // namespace keelson::agent::testing
