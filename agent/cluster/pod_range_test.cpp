// SPDX-License-Identifier: Apache-2.0
// When a runtime is told the range of pods; on a fake clock.
#include "agent/cluster/pod_range.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/fake_runtime_client.h"
#include "common/log.h"
#include "common/task_group.h"

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Runtime : FakeRuntimeClient {
  Task<> update_runtime_config(std::string pod_cidr, Duration) override {
    if (away) {
      co_return fail(Kind::unavailable, "no runtime");
    }
    told.push_back(pod_cidr);
    co_return Result<>();
  }
  bool away = false;
  std::vector<std::string> told;
};

TEST(PodRange, IsToldOnceEachUntilTheRuntimeTakesIt) {
  log::set_level(log::Level::off);
  FakeClock clock;
  Loop loop(clock, "test");
  Runtime runtime;
  PodRange range(loop, runtime);
  TaskGroup group(loop);
  group.spawn("range", range.run());
  range.set({});
  loop.run_until_idle();
  EXPECT_THAT(runtime.told, IsEmpty()) << "the cluster gives none";
  range.set({"10.1.0.0/24", "fd00::/112"});
  loop.run_until_idle();
  range.set({"10.1.0.0/24", "fd00::/112"});
  loop.run_until_idle();
  EXPECT_THAT(runtime.told, ElementsAre("10.1.0.0/24,fd00::/112"));
  runtime.away = true;
  range.set({"10.2.0.0/24"});
  loop.run_until_idle();
  runtime.away = false;
  loop.advance(clock, 10s);
  EXPECT_THAT(runtime.told, ElementsAre("10.1.0.0/24,fd00::/112", "10.2.0.0/24"));
  group.cancel();
  loop.run_until_idle();
  EXPECT_EQ(group.count(), 0U);
}

}  // namespace
}  // namespace keelson::agent
