// SPDX-License-Identifier: Apache-2.0
#include "agent/config/volume_stats.h"

#include <gtest/gtest.h>

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;

class VolumeStatsTest : public ::testing::Test {
 protected:
  std::vector<StatSample> rows(const std::string& name) {
    Stats all;
    stats.collect(all);
    const auto family = all.families().find(name);
    return family == all.families().end() ? std::vector<StatSample>() : family->second.samples;
  }
  double volumes(const std::string& plugin, const std::string& state) {
    for (const auto& row : rows("volume_manager_total_volumes")) {
      if (row.labels == StatLabels{{"plugin_name", "kubernetes.io/" + plugin}, {"state", state + "_state_of_world"}}) {
        return row.value;
      }
    }
    return 0;
  }

  FakeClock clock;
  VolumeStats stats{clock};
};

TEST_F(VolumeStatsTest, WhatPodsAreToHaveAndWhatTheyHaveIsCountedByPlugin) {
  stats.wanted("u1", "data", "kubernetes.io/empty-dir");
  stats.wanted("u1", "disk", "kubernetes.io/csi:disks");
  stats.wanted("u2", "data", "kubernetes.io/empty-dir");
  stats.wanted("u2", "data", "kubernetes.io/empty-dir");
  stats.mounted("u1", "data");
  stats.mounted("u2", "data");
  stats.mounted("u3", "nobody's");
  EXPECT_EQ(volumes("empty-dir", "desired"), 2);
  EXPECT_EQ(volumes("empty-dir", "actual"), 2);
  EXPECT_EQ(volumes("csi:disks", "desired"), 1);
  EXPECT_EQ(volumes("csi:disks", "actual"), 0) << "it is not there yet";
  stats.unwanted("u1");
  EXPECT_EQ(volumes("empty-dir", "desired"), 1);
  EXPECT_EQ(volumes("empty-dir", "actual"), 2) << "until it has been taken away";
  stats.gone("u1");
  EXPECT_EQ(volumes("empty-dir", "actual"), 1);
  EXPECT_EQ(rows("volume_manager_total_volumes").size(), 2U);
}

TEST_F(VolumeStatsTest, MountsAreTimedByHowTheyEnd) {
  const auto mount = [this](Duration time, Result<> outcome) {
    return stats.timed("kubernetes.io/secret", "volume_mount", [&] {
      clock.advance(time);
      return outcome;
    });
  };
  EXPECT_TRUE(mount(200ms, {}));
  EXPECT_TRUE(mount(300ms, {}));
  EXPECT_EQ(mount(2s, fail(Kind::not_found, "secret \"s\" not found")).error().kind(), Kind::not_found);
  EXPECT_FALSE(mount(1h, fail(Kind::cancelled, "the pod has gone")));
  const auto told = rows("storage_operation_duration_seconds");
  ASSERT_EQ(told.size(), 2U) << "what was cancelled is not told";
  EXPECT_EQ(told[0].labels, (StatLabels{{"migrated", "false"},
                                        {"operation_name", "volume_mount"},
                                        {"status", "fail-unknown"},
                                        {"volume_plugin", "kubernetes.io/secret"}}));
  EXPECT_EQ(told[0].histogram[0].count(), 1U);
  EXPECT_EQ(told[1].labels[2].second, "success");
  EXPECT_EQ(told[1].histogram[0].count(), 2U);
  EXPECT_DOUBLE_EQ(told[1].histogram[0].sum(), 0.5);
  EXPECT_EQ(told[1].histogram[0].counts()[1], 1U) << "200 ms are below 0.25 s";
}

TEST(VolumePlugin, IsNamedAsByTheKubelet) {
  kube::Volume volume;
  EXPECT_EQ(volume_plugin(volume), "");
  volume.persistent_volume_claim.emplace();
  EXPECT_EQ(volume_plugin(volume), "") << "the bound volume says";
  volume = {};
  volume.csi.emplace().driver = "disks";
  EXPECT_EQ(volume_plugin(volume), "kubernetes.io/csi:disks");
  volume = {};
  volume.downward_api.emplace();
  EXPECT_EQ(volume_plugin(volume), "kubernetes.io/downward-api");
  volume = {};
  volume.host_path.emplace();
  EXPECT_EQ(volume_plugin(volume), "kubernetes.io/host-path");
}

}  // namespace
}  // namespace keelson::agent
