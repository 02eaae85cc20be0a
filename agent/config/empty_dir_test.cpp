// SPDX-License-Identifier: Apache-2.0
// How large a volume in memory is, and of what pages.
#include "agent/config/empty_dir.h"

#include <gtest/gtest.h>

namespace keelson::agent {
namespace {

kube::Container with(const char* resource, int64_t amount) {
  kube::Container container;
  container.resources.limits[resource] = kube::Quantity::of(amount);
  container.resources.requests = container.resources.limits;
  return container;
}

TEST(EmptyDir, MemoryIsLimitedByTheLeastOfAll) {
  kube::Pod pod;
  pod.spec.containers = {with("memory", 100)};
  EXPECT_EQ(memory_volume_size(pod, 0, 0), 100);
  EXPECT_EQ(memory_volume_size(pod, 500, 0), 100);
  EXPECT_EQ(memory_volume_size(pod, 500, 50), 50);
  EXPECT_EQ(memory_volume_size(pod, 500, 200), 100);
  auto sidecar = with("memory", 30);
  sidecar.restart_policy = kube::RestartPolicy::always;
  pod.spec.init_containers = {sidecar};
  EXPECT_EQ(memory_volume_size(pod, 500, 0), 130);
  pod.spec.containers.emplace_back();
  EXPECT_EQ(memory_volume_size(pod, 500, 0), 500) << "one container has no limit";
  EXPECT_EQ(memory_volume_size(pod, 0, 0), 0);
  pod.spec.resources.emplace().limits["memory"] = kube::Quantity::of(300);
  EXPECT_EQ(memory_volume_size(pod, 500, 0), 300) << "but the pod as a whole";
}

TEST(EmptyDir, HugePagesAreOfTheSizeThatThePodRequests) {
  kube::Pod pod;
  EXPECT_EQ(huge_page_size("HugePages", pod).error().message(),
            "medium HugePages: hugePages storage requested, but there is no resource request for huge pages");
  pod.spec.init_containers = {with("hugepages-2Mi", 4 << 20)};
  EXPECT_EQ(huge_page_size("HugePages", pod).value(), 2 << 20);
  EXPECT_EQ(huge_page_size("HugePages-2048Ki", pod).value(), 2 << 20);
  EXPECT_FALSE(huge_page_size("HugePages-1Gi", pod));
  EXPECT_FALSE(huge_page_size("HugePages-x", pod));
  pod.spec.resources.emplace().requests["hugepages-1Gi"] = kube::Quantity::of(1 << 30);
  EXPECT_EQ(huge_page_size("HugePages-1Gi", pod).value(), 1 << 30);
  EXPECT_EQ(huge_page_size("HugePages", pod).error().message(),
            "medium: HugePages can't be used if container requests multiple huge page sizes");
}

}  // namespace
}  // namespace keelson::agent
