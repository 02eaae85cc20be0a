// SPDX-License-Identifier: Apache-2.0
// The bounded form of cluster_fuzz: some hundred steps each of a few seeds.
#include "tests/simulation/simulation.h"

#include <gtest/gtest.h>

#include "common/log.h"

namespace keelson::simulation {
namespace {

class SimulationTest : public ::testing::TestWithParam<uint64_t> {};

TEST_P(SimulationTest, ANodeComesRightAfterEveryFaultOfItsControlPlane) {
  log::set_level(log::Level::off);
  const auto report = run({.seed = GetParam(), .steps = 700});
  for (const auto& failure : report.failures) {
    ADD_FAILURE() << failure;
  }
  EXPECT_EQ(report.steps, 700U);
  EXPECT_GT(report.requests, 500U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, SimulationTest, ::testing::Values(1, 2, 3));

}  // namespace
}  // namespace keelson::simulation
