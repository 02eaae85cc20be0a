// SPDX-License-Identifier: Apache-2.0
// The ranges of pods that a cluster gives, kept for plugins that ask for them.
#include "cri/runtime/network.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace keelson::cri {
namespace {

using ::testing::HasSubstr;

class PodRangesTest : public ::testing::Test {
 protected:
  PodRangesTest() {
    std::string pattern = "/tmp/keelson-pod-ranges-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    std::filesystem::create_directories(folder_ + "/conf");
    // Of a version without STATUS: no program is run.
    std::ofstream(folder_ + "/conf/10-net.conflist")
        << R"({"cniVersion":"1.0.0","name":"pods","plugins":[{"type":"some","capabilities":{"ipRanges":true}}]})";
  }
  ~PodRangesTest() override { std::filesystem::remove_all(folder_); }
  Network network() { return {folder_ + "/conf", {folder_}, folder_ + "/cache", std::chrono::seconds(1)}; }

  std::string folder_;
};

TEST_F(PodRangesTest, TheNetworkIsReadyOnceTheyAreKnownAndAfterARestart) {
  {
    auto first = network();
    EXPECT_EQ(first.ready().error().kind(), Kind::unavailable);
    EXPECT_THAT(first.ready().error().message(), HasSubstr("network pods: plugin some waits"));
    ASSERT_TRUE(first.set_pod_ranges("10.244.1.0/24,fd00:1::/64"));
    EXPECT_TRUE(first.ready());
  }
  EXPECT_TRUE(network().ready());
}

TEST_F(PodRangesTest, AWrongOneIsNamedAndChangesNothing) {
  auto network = this->network();
  ASSERT_TRUE(network.set_pod_ranges("10.244.1.0/24"));
  for (const char* wrong : {"10.244.1.0", "10.244.1.0/24,", "10.244.1.0/24,10.245.1.0/24", ""}) {
    EXPECT_EQ(network.set_pod_ranges(wrong).error().kind(), Kind::invalid) << wrong;
  }
  EXPECT_THAT(network.set_pod_ranges("10.244.1.0/24,x").error().message(), HasSubstr("\"x\""));
  EXPECT_TRUE(network.ready());
}

}  // namespace
}  // namespace keelson::cri
