// SPDX-License-Identifier: Apache-2.0
// The agent under random changes and faults, by seeds.
#include <fmt/format.h>

#include <random>

#include "agent/agent_fixture.h"

namespace keelson::agent::testing {
namespace {

/// Random additions, edits, removals, exits, lost sandboxes, failing calls and deaths of the agent; then quiet.
class Simulation : public AgentTest, public ::testing::WithParamInterface<unsigned> {};

TEST_P(Simulation, AlwaysConvergesToTheManifests) {
  std::mt19937 random(GetParam());
  auto roll = [&](unsigned sides) { return static_cast<unsigned>(random() % sides); };
  unsigned fail_one_in = 0;
  world.before_call = [&](std::string_view call) -> Result<> {
    if (fail_one_in != 0 && roll(fail_one_in) == 0) {
      return fail(Kind::unavailable, "{}: a fault was asked for", call);
    }
    return {};
  };
  std::map<std::string, kube::Pod> manifests;
  auto apply = [&] {
    std::vector<kube::Pod> pods;
    for (auto& [name, p] : manifests) {
      pods.push_back(p);
    }
    want(pods);
  };
  for (int step = 0; step < 400; ++step) {
    auto name = fmt::format("p{}", roll(4));
    switch (roll(8)) {
      case 0:
      case 1: {
        auto p = make_pod(name, fmt::format("{}-{}", name, step),
                          roll(2) == 0 ? std::vector<std::string>{"main"} : std::vector<std::string>{"main", "two"});
        if (roll(3) == 0) {
          kube::Container side;
          side.name = "side";
          side.image = "img";
          side.restart_policy = kube::RestartPolicy::always;
          p.spec.init_containers.push_back(side);
        }
        manifests[name] = p;
        apply();
        break;
      }
      case 2:
        manifests.erase(name);
        apply();
        break;
      case 3:
        if (auto id = world.running("main"); !id.empty()) {
          world.exit_container(id, static_cast<int>(roll(2)));
        }
        break;
      case 4:
        if (!world.sandboxes.empty()) {
          world.lose_sandbox(
              std::next(world.sandboxes.begin(), roll(static_cast<unsigned>(world.sandboxes.size())))->first);
        }
        break;
      case 5:
        fail_one_in = roll(2) == 0 ? 0 : 3;
        break;
      case 6:
        end_agent();
        start_agent();
        apply();
        break;
      default:
        loop.advance(clock, std::chrono::milliseconds(roll(20000)));
    }
    loop.run_until_idle();
  }
  fail_one_in = 0;
  loop.advance(clock, 20min);
  ASSERT_EQ(agent->pods().size(), manifests.size()) << "seed " << GetParam();
  std::set<std::string> uids;
  for (const auto& [name, p] : manifests) {
    EXPECT_EQ(pod(name).metadata.uid, p.metadata.uid) << "seed " << GetParam();
    EXPECT_TRUE(is_ready(pod(name).status)) << name << " seed " << GetParam();
    uids.insert(p.metadata.uid);
  }
  EXPECT_EQ(world.prepared, uids) << "seed " << GetParam();
  for (const auto& [id, sandbox] : world.sandboxes) {
    EXPECT_TRUE(uids.contains(sandbox.pod.uid)) << "seed " << GetParam();
  }
  size_t running = 0;
  size_t wanted_running = 0;
  for (const auto& [id, c] : world.containers) {
    running += c.state == RunState::running ? 1 : 0;
  }
  for (const auto& [name, p] : manifests) {
    wanted_running += p.spec.containers.size() + p.spec.init_containers.size();
  }
  EXPECT_EQ(running, wanted_running) << "seed " << GetParam();
}

INSTANTIATE_TEST_SUITE_P(Seeds, Simulation, ::testing::Range(0U, 20U));

}  // namespace
}  // namespace keelson::agent::testing
