// SPDX-License-Identifier: Apache-2.0
// What a status says of a container's resources, mounts and user.
#include "agent/container_in_force.h"

#include <gtest/gtest.h>

namespace keelson::agent {
namespace {

kube::Quantity amount(std::string_view text) {
  return kube::Quantity::parse(text).value();
}

kube::Container make_container() {
  kube::Container container;
  container.name = "c";
  container.resources.requests = {{"cpu", amount("250m")}, {"memory", amount("64M")}};
  container.resources.limits = {{"cpu", amount("500m")}, {"memory", amount("64M")}};
  return container;
}

ObservedContainer make_instance(RunState state) {
  ObservedContainer instance;
  instance.name = "c";
  instance.state = state;
  instance.resources = {.cpu_shares = 256, .cpu_quota = 50'000, .cpu_period = 100'000, .memory_limit = 64'000'000};
  return instance;
}

kube::ContainerStatus told(const kube::Container& container, const ObservedContainer* instance) {
  kube::ContainerStatus status;
  tell_in_force(container, instance, status);
  return status;
}

TEST(InForceTest, WhatTheRuntimeHasAsTheSpecWantsItIsInTheSpecsWords) {
  const auto container = make_container();
  const auto instance = make_instance(RunState::running);
  const auto status = told(container, &instance);
  EXPECT_EQ(status.resources, container.resources);
  EXPECT_EQ(status.resources->limits.at("memory").to_string(), "64M");
  EXPECT_EQ(status.allocated_resources, container.resources.requests);
}

TEST(InForceTest, WhatTheRuntimeHasOtherwiseCountsWhileItRuns) {
  const auto container = make_container();
  auto instance = make_instance(RunState::running);
  instance.resources = {.cpu_shares = 512, .cpu_quota = 100'000, .cpu_period = 100'000, .memory_limit = 128 << 20};
  auto status = told(container, &instance);
  EXPECT_EQ(status.resources->requests.at("cpu"), amount("500m"));
  EXPECT_EQ(status.resources->limits.at("cpu"), amount("1"));
  EXPECT_EQ(status.resources->limits.at("memory").to_string(), "128Mi");
  EXPECT_EQ(status.resources->requests.at("memory"), amount("64M")) << "no runtime knows it";
  EXPECT_EQ(status.allocated_resources, container.resources.requests);
  instance.state = RunState::exited;
  status = told(container, &instance);
  EXPECT_EQ(status.resources, container.resources);
}

TEST(InForceTest, WhatTheKernelCannotTellApartStaysAsItIsInTheSpec) {
  kube::Container container;
  container.resources.requests = {{"cpu", amount("1m")}};
  container.resources.limits = {{"cpu", amount("5m")}};
  auto instance = make_instance(RunState::running);
  instance.resources = {.cpu_shares = 2, .cpu_quota = 1'000, .cpu_period = 100'000};
  EXPECT_EQ(told(container, &instance).resources, container.resources);
}

TEST(InForceTest, AContainerWithoutResourcesHasNone) {
  kube::Container container;
  auto instance = make_instance(RunState::running);
  instance.resources = {.cpu_shares = 2, .cpu_quota = 0, .cpu_period = 100'000};
  const auto status = told(container, &instance);
  EXPECT_EQ(status.resources, kube::ResourceRequirements());
  EXPECT_TRUE(status.allocated_resources.empty());
  EXPECT_FALSE(told(container, nullptr).resources);
}

TEST(InForceTest, MountsSayWhetherTheyAreReadOnlyAllTheWayDown) {
  kube::Container container;
  container.volume_mounts.resize(3);
  container.volume_mounts[0] = {.name = "a", .read_only = false, .mount_path = "/a"};
  container.volume_mounts[1] = {.name = "b", .read_only = true, .mount_path = "/b"};
  container.volume_mounts[2] = {
      .name = "c", .read_only = true, .recursive_read_only = kube::RecursiveReadOnly::if_possible, .mount_path = "/c"};
  const std::vector<kube::VolumeMountStatus> wanted = {{"a", "/a", false, std::nullopt},
                                                       {"b", "/b", true, kube::RecursiveReadOnly::disabled},
                                                       {"c", "/c", true, kube::RecursiveReadOnly::enabled}};
  EXPECT_EQ(told(container, nullptr).volume_mounts, wanted);
  auto instance = make_instance(RunState::running);
  EXPECT_EQ(told(container, &instance).volume_mounts[2].recursive_read_only, kube::RecursiveReadOnly::disabled)
      << "the runtime could not";
  instance.recursive_read_only = {"/c"};
  EXPECT_EQ(told(container, &instance).volume_mounts, wanted);
}

TEST(InForceTest, TheUserIsTheRuntimes) {
  auto instance = make_instance(RunState::running);
  EXPECT_FALSE(told({}, &instance).user);
  instance.user = {1000, 2000, {2000, 3000}};
  EXPECT_EQ(told({}, &instance).user->linux_user, (kube::LinuxContainerUser{1000, 2000, {2000, 3000}}));
}

}  // namespace
}  // namespace keelson::agent
