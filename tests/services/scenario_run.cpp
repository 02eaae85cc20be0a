// SPDX-License-Identifier: Apache-2.0
#include "tests/services/scenario_run.h"

#include <algorithm>
#include <cctype>
#include <set>

namespace keelson::services {

const Suite& suite() {
  static const Suite loaded = load_suite(std::string(KEELSON_SOURCE_DIR) + "/tests/services/scenarios");
  return loaded;
}

std::vector<const Scenario*> all_scenarios() {
  std::vector<const Scenario*> result;
  for (const auto& scenario : suite().scenarios) {
    result.push_back(&scenario);
  }
  return result;
}

std::string test_name(const Scenario& scenario) {
  auto name = scenario.id();
  std::ranges::replace_if(name, [](unsigned char c) { return !std::isalnum(c); }, '_');
  return name;
}

std::vector<const Scenario*> chosen(const std::string& test_suite, const std::string& group) {
  std::set<std::string> names;
  const auto* all = ::testing::UnitTest::GetInstance();
  for (int i = 0; i < all->total_test_suite_count(); i++) {
    const auto* one = all->GetTestSuite(i);
    for (int j = 0; one->name() == test_suite && j < one->total_test_count(); j++) {
      if (one->GetTestInfo(j)->should_run()) {
        std::string name = one->GetTestInfo(j)->name();
        names.insert(name.substr(name.find('/') + 1));
      }
    }
  }
  std::vector<const Scenario*> result;
  for (const auto& scenario : suite().scenarios) {
    if (scenario.group == group && names.contains(test_name(scenario))) {
      result.push_back(&scenario);
    }
  }
  return result;
}

}  // namespace keelson::services
