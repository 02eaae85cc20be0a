// SPDX-License-Identifier: Apache-2.0
// Who makes room for a critical pod.
#include "agent/cluster/preemption.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <list>

namespace keelson::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr int32_t kCritical = 2'000'000'000;

class Preemption : public ::testing::Test {
 protected:
  /// Requests are "500m", "100Mi"; with `limited` limits are the same, so that the pod is Guaranteed.
  void add(const std::string& name, const std::string& cpu, const std::string& memory, bool limited = false,
           int32_t priority = 0) {
    kube::Pod& pod = pods_.emplace_back();
    pod.metadata.name = name;
    pod.spec.priority = priority;
    auto& resources = pod.spec.containers.emplace_back().resources;
    for (const auto& [key, text] : {std::pair("cpu", cpu), std::pair("memory", memory)}) {
      if (!text.empty()) {
        resources.requests[key] = kube::Quantity::parse(text).value();
      }
    }
    if (limited) {
      resources.limits = resources.requests;
    }
  }
  std::optional<std::vector<std::string>> preempted(const Shortage& shortage, int32_t priority = kCritical) {
    kube::Pod pod;
    pod.spec.priority = priority;
    std::vector<const kube::Pod*> others;
    for (const auto& other : pods_) {
      others.push_back(&other);
    }
    const auto found = preempted_for(pod, others, shortage);
    if (!found) {
      return std::nullopt;
    }
    std::vector<std::string> names;
    for (const auto* one : *found) {
      names.push_back(one->metadata.name);
    }
    return names;
  }

  std::list<kube::Pod> pods_;
};

TEST_F(Preemption, TakesTheFewestAndThoseThatRequestLeast) {
  add("small", "100m", "10Mi");
  add("fits", "500m", "50Mi");
  add("big", "900m", "90Mi");
  EXPECT_THAT(*preempted({{"cpu", 400}}), ElementsAre("fits")) << "one that is enough, not two, and not the bigger one";
  EXPECT_THAT(*preempted({{"cpu", 1000}}), UnorderedElementsAre("big", "small"));
  EXPECT_THAT(*preempted({{"cpu", 1450}}), UnorderedElementsAre("big", "fits", "small"));
  EXPECT_FALSE(preempted({{"cpu", 1501}}).has_value()) << "all of them are not enough";
  EXPECT_THAT(*preempted({}), IsEmpty());
}

TEST_F(Preemption, SparesGuaranteedPodsAndThenBurstableOnes) {
  add("best effort", "", "");
  add("burstable", "500m", "");
  add("guaranteed", "500m", "100Mi", true);
  EXPECT_THAT(*preempted({{"cpu", 500}}), ElementsAre("burstable"));
  EXPECT_THAT(*preempted({{"cpu", 501}}), ElementsAre("burstable", "guaranteed"));
  EXPECT_THAT(*preempted({{"pods", 1}}), ElementsAre("best effort"));
  EXPECT_THAT(*preempted({{"pods", 1}, {"cpu", 1}}), ElementsAre("burstable")) << "it is a pod, too";
}

TEST_F(Preemption, LeavesWhatIsAsImportant) {
  add("critical", "500m", "", false, kCritical);
  EXPECT_FALSE(preempted({{"cpu", 1}}).has_value());
  EXPECT_TRUE(preempted({{"cpu", 1}}, kCritical + 1000).has_value()) << "of two critical ones the higher";
  pods_.back().metadata.annotations["kubernetes.io/config.source"] = "file";
  pods_.back().spec.priority.reset();
  EXPECT_FALSE(preempted({{"cpu", 1}}).has_value()) << "static";
}

}  // namespace
}  // namespace keelson::agent
