// SPDX-License-Identifier: Apache-2.0
// The scenarios under the real `keelson node --roles network`, at each of its hooks.
#include "tests/services/scenario_run.h"

namespace keelson::services {
namespace {

class OursTest : public ::testing::TestWithParam<std::tuple<Hooks, const Scenario*>> {
 protected:
  static void TearDownTestSuite() { world_.reset(); }

  const Answers& answers(Hooks hooks, const Scenario& scenario) {
    std::string name = ::testing::UnitTest::GetInstance()->current_test_info()->test_suite_name();
    auto [run, is_new] = runs_.try_emplace({name, scenario.group});
    if (is_new) {
      if (!world_) {
        world_ = std::make_unique<World>();
      }
      auto proxy = make_ours(*world_, suite().group(scenario.group), hooks);
      run->second = services::run(*world_, *proxy, chosen(name, scenario.group));
    }
    return run->second.at(scenario.id());
  }

  static inline std::unique_ptr<World> world_;
  static inline Runs runs_;
};

TEST_P(OursTest, Scenario) {
  const auto& [hooks, scenario] = GetParam();
  if (auto reason = ebpf::testing::why_not(); !reason.empty()) {
    GTEST_SKIP() << "SKIP: " << reason;
  }
  check(*scenario, hooks == Hooks::packets ? Side::packets : Side::ours, answers(hooks, *scenario));
}

std::vector<const Scenario*> scenarios_of(const std::string& group) {
  auto all = all_scenarios();
  std::erase_if(all, [&](const Scenario* scenario) { return scenario->group != group; });
  return all;
}

std::string name_of(const ::testing::TestParamInfo<OursTest::ParamType>& info) {
  return test_name(*std::get<1>(info.param));
}

using ::testing::Combine;
using ::testing::Values;
using ::testing::ValuesIn;
INSTANTIATE_TEST_SUITE_P(Sockets, OursTest, Combine(Values(Hooks::sockets), ValuesIn(all_scenarios())), name_of);
INSTANTIATE_TEST_SUITE_P(Packets, OursTest, Combine(Values(Hooks::packets), ValuesIn(all_scenarios())), name_of);
INSTANTIATE_TEST_SUITE_P(Xdp, OursTest, Combine(Values(Hooks::xdp), ValuesIn(scenarios_of("default"))), name_of);

}  // namespace
}  // namespace keelson::services
