// SPDX-License-Identifier: Apache-2.0
// What a container's environment is made of must be known before it begins.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "common/log.h"
#include "kube/codec.h"
#include "tests/simulation/checks.h"

namespace keelson::simulation {
namespace {

using namespace std::chrono_literals;

json::object pod_with(const std::string& name, const std::string& env) {
  return json::parse(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":")" + name +
                     R"(","namespace":"shop","uid":"uid-)" + name +
                     R"("},"spec":{"nodeName":"n1","containers":[{"name":")" + name +
                     R"(","image":"busybox:1","imagePullPolicy":"IfNotPresent","env":[)" + env + "]}]}}")
      .as_object();
}

class EnvironmentTest : public ::testing::Test {
 protected:
  EnvironmentTest() {
    log::set_level(log::Level::off);
    checks.runtime = &runtime;
    node = std::make_unique<Node>(loop, plane, runtime, 5, "");
  }
  void put(const std::string& name, const std::string& env = "") {
    plane.store.put("pods", "shop/" + name, pod_with(name, env));
  }
  /// The container is named as its pod.
  bool runs(const std::string& name) const { return runtime.runs("uid-" + name); }
  void pass(Duration time) {
    loop.advance(clock, time);
    loop.run_until_idle();
  }
  std::string waiting(const std::string& name) {
    const auto pod = node->agent().find_pod("shop", name);
    if (!pod || pod->status.container_statuses.empty() || !pod->status.container_statuses[0].state.waiting) {
      return "does not wait";
    }
    const auto& state = *pod->status.container_statuses[0].state.waiting;
    return state.reason + ": " + state.message;
  }

  FakeClock clock;
  Loop loop{clock, "simulation"};
  Checks checks;
  Runtime runtime{loop, checks};
  ControlPlane plane{loop, 1, checks};
  std::unique_ptr<Node> node;
};

TEST_F(EnvironmentTest, ServicesAreReadBeforeAContainerBegins) {
  plane.faults.no_services = true;
  put("web");
  pass(60s);
  EXPECT_FALSE(runs("web"));
  EXPECT_EQ(waiting("web"),
            "CreateContainerConfigError: services have not yet been read at least once, cannot construct envvars");
  plane.faults.no_services = false;
  pass(180s);
  EXPECT_TRUE(runs("web"));
  // What was read once is known, whatever fails then.
  plane.faults.no_services = true;
  put("next");
  pass(60s);
  EXPECT_TRUE(runs("next"));
}

TEST_F(EnvironmentTest, AnObjectThatMayBeMissingIsLookedForFirst) {
  plane.faults.forbidden = 1000;  // every request for a ConfigMap
  put("web", R"({"name":"X","valueFrom":{"configMapKeyRef":{"name":"c","key":"k","optional":true}}})");
  put("plain");
  pass(60s);
  EXPECT_TRUE(runs("plain"));
  EXPECT_FALSE(runs("web"));
  EXPECT_EQ(waiting("web"),
            "CreateContainerConfigError: failed to sync configmap cache: timed out waiting for the condition");
  plane.faults.forbidden = 0;
  pass(180s);
  EXPECT_TRUE(runs("web")) << "there is none, and that is known";
}

}  // namespace
}  // namespace keelson::simulation
