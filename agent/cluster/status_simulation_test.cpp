// SPDX-License-Identifier: Apache-2.0
// The status manager through any mix of events and faults, by seeds.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include "agent/cluster/status_manager_fixture.h"
#include "kube/status_patch.h"

namespace keelson::agent::testing {
namespace {

/// Statuses, deletions, recreations, faults of every kind, a watch that lags and repeats; then quiet.
class StatusSimulation : public StatusManagerTest, public ::testing::WithParamInterface<unsigned> {};

TEST_P(StatusSimulation, AlwaysConverges) {
  std::mt19937 random(GetParam());
  auto roll = [&](unsigned sides) { return static_cast<unsigned>(random() % sides); };
  std::vector<std::pair<std::string, std::optional<kube::Pod>>> late;  // events of the watch that have not come yet
  bool lagging = true;
  const auto deliver = [&](const std::string& name, const std::optional<kube::Pod>& pod) {
    if (pod) {
      manager->api_has(*pod);
    } else {
      manager->api_lost(name);
    }
  };
  api.changed = [&](const std::string& name, const std::optional<kube::Pod>& pod) {
    if (lagging) {
      late.emplace_back(name, pod);
    } else {
      deliver(name, pod);
    }
  };
  unsigned faults = 0;
  api.before = [&](const kube::Request&) -> Result<> {
    if (faults == 0 || roll(faults) != 0) {
      return {};
    }
    switch (roll(4)) {
      case 0:
        return std::unexpected(nobody_answers());
      case 1:
        return std::unexpected(refusal(429, "TooManyRequests"));
      case 2:
        return std::unexpected(refusal(500, "InternalError"));
      default:
        return std::unexpected(refusal(409, "Conflict", "the object has been modified"));
    }
  };
  std::map<std::string, kube::Pod> ours;
  for (int step = 0; step < 5000; ++step) {
    const auto name = fmt::format("p{}", roll(5));
    const auto key = "default/" + name;
    auto it = api.pods.find(key);
    switch (roll(8)) {
      case 0:
        if (it == api.pods.end() && !ours.contains(key)) {
          auto pod = make_pod(name, fmt::format("{}-{}", name, step));
          api.put(pod);
          ours[key] = pod;
        }
        break;
      case 1:
      case 2:
        if (ours.contains(key)) {
          ours[key].status.phase = kube::PodPhase::running;
          ours[key].status.message = std::to_string(step);
          manager->says(ours[key], false);
        }
        break;
      case 3:
        if (it != api.pods.end() && !it->second.metadata.deletion_timestamp) {
          api.put(deleting(it->second));
        }
        break;
      case 4:  // ours ends once its deletion has begun
        if (ours.contains(key) && it != api.pods.end() && it->second.metadata.deletion_timestamp &&
            std::ranges::find(late, key, &decltype(late)::value_type::first) == late.end()) {
          ours[key].status.phase = kube::PodPhase::failed;
          manager->says(ours[key], true);
          ours.erase(key);
        }
        break;
      case 5:  // by force
        if (roll(4) == 0 && it != api.pods.end()) {
          api.remove(key);
          if (ours.contains(key)) {
            ours[key].status.phase = kube::PodPhase::failed;
            manager->says(ours[key], true);
            ours.erase(key);
          }
        }
        break;
      case 6:
        faults = roll(3) == 0 ? 0 : 2;
        break;
      default: {
        const size_t some = std::min<size_t>(late.size(), roll(4));
        for (size_t i = 0; i < some; ++i) {
          deliver(late[i].first, late[i].second);
        }
        late.erase(late.begin(), late.begin() + static_cast<ptrdiff_t>(some));
        loop.advance(clock, std::chrono::milliseconds(roll(2000)));
      }
    }
  }
  faults = 0;
  lagging = false;
  for (const auto& [name, pod] : std::exchange(late, {})) {
    deliver(name, pod);
  }
  loop.advance(clock, 60s);
  EXPECT_TRUE(manager->settled()) << "seed " << GetParam();
  for (const auto& [key, pod] : api.pods) {
    if (ours.contains(key) && ours[key].status.phase != kube::PodPhase::pending) {
      EXPECT_EQ(kube::status_patch("", pod.status, ours[key].status), std::nullopt) << key << " seed " << GetParam();
    }
    EXPECT_TRUE(ours.contains(key)) << key << " has ended and was not deleted, seed " << GetParam();
  }
  EXPECT_LE(api.at_once, 8U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, StatusSimulation, ::testing::Range(0U, 20U));

}  // namespace
}  // namespace keelson::agent::testing
