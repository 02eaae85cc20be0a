// SPDX-License-Identifier: Apache-2.0
// Which images may go, and how many.
#include "agent/eviction/image_collector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

constexpr SteadyTime kStart{1h};

cri::Image image(const std::string& id, bool pinned = false) {
  cri::Image made;
  made.id = id;
  made.repo_tags = {"r/" + id + ":1"};
  made.pinned = pinned;
  return made;
}

cri::ContainerStatus container_of(const std::string& image_id, const std::string& name = "") {
  cri::ContainerStatus made;
  made.image_id = image_id;
  made.image = name;
  return made;
}

std::vector<std::string> ids(const std::vector<ImageRecord>& records) {
  std::vector<std::string> list;
  for (const auto& record : records) {
    list.push_back(record.id);
  }
  return list;
}

TEST(ImageRecords, TheLongestUnusedGoesFirst) {
  ImageRecords records;
  const std::vector<cri::Image> all = {image("a"), image("b"), image("c"), image("kept", true)};
  records.observe(all, {container_of("a"), container_of("", "r/b:1")}, kStart);
  EXPECT_THAT(ids(records.unused()), ElementsAre("c")) << "a by its id, b by its name are in use";
  records.observe(all, {container_of("a")}, kStart + 1min);
  EXPECT_THAT(ids(records.unused()), ElementsAre("c", "b"));
  records.observe(all, {}, kStart + 2min);
  EXPECT_THAT(ids(records.unused()), ElementsAre("c", "b", "a"));
  records.observe({image("a")}, {}, kStart + 3min);
  EXPECT_THAT(ids(records.unused()), ElementsAre("a"));
  records.observe(all, {}, kStart + 4min);
  EXPECT_THAT(ids(records.unused()), ElementsAre("b", "c", "a")) << "that came again are new";
  EXPECT_EQ(records.unused().front().first_seen, kStart + 4min);
}

TEST(ImageRecords, WhatIsMountedIsInUse) {
  ImageRecords records;
  auto container = container_of("a");
  container.mounts = {{.container_path = "/etc/hosts", .host_path = "/x"}, {.container_path = "/data", .image = "b"}};
  records.observe({image("a"), image("b"), image("c")}, {container}, kStart);
  EXPECT_THAT(ids(records.unused()), ElementsAre("c"));
}

TEST(ImagePolicy, FreesFromTheHighMarkToTheLow) {
  const ImagePolicy policy;
  EXPECT_EQ(bytes_to_free(policy, 1000, 160), 0U) << "84 %";
  EXPECT_EQ(bytes_to_free(policy, 1000, 150), 50U) << "85 %";
  EXPECT_EQ(bytes_to_free(policy, 1000, 0), 200U);
  EXPECT_EQ(bytes_to_free(policy, 0, 0), 0U);
  EXPECT_EQ(bytes_to_free({.high_percent = 100, .low_percent = 80}, 1000, 0), 0U) << "never";
}

}  // namespace
}  // namespace keelson::agent
