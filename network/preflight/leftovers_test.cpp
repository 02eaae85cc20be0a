// SPDX-License-Identifier: Apache-2.0
#include "network/preflight/leftovers.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/fd.h"

namespace keelson::network {
namespace {

namespace fs = std::filesystem;

// Plain files in place of pins: what counts is names and folders.
class LeftoversTest : public ::testing::Test {
 protected:
  void SetUp() override {
    home_ = fs::temp_directory_path() / ("kl-leftovers-" + std::to_string(getpid()));
    places_ = {home_ / "bpf", {home_ / "root/api-servers"}, {home_ / "run/network.sock"}};
    for (const char* pin : {"bpf/services-1/maps/frontends", "bpf/services-1/links/connect4", "bpf/services/3/maps/a",
                            "bpf/services/3/layout", "bpf/services/links/connect4"}) {
      put(pin);
    }
    put("root/api-servers");
    put("run/network.sock");
    put("run/other");
  }
  void TearDown() override { fs::remove_all(home_); }
  void put(const std::string& path) {
    fs::create_directories((home_ / path).parent_path());
    std::ofstream(home_ / path) << "x";
  }
  std::vector<std::string> found() {
    std::vector<std::string> result;
    auto leftovers = find_leftovers(places_);
    EXPECT_TRUE(leftovers) << leftovers.error().message();
    for (const auto& leftover : *leftovers) {
      result.push_back(fs::path(leftover.path).lexically_relative(home_).string() + ": " + leftover.what);
    }
    return result;
  }
  Result<> remove() { return remove_leftovers(places_, *find_leftovers(places_)); }

  fs::path home_;
  Places places_;
};

TEST_F(LeftoversTest, PinsOfEveryVersionFilesAndSocketsAreFound) {
  EXPECT_EQ(found(),
            (std::vector<std::string>{"bpf/services: 1 maps, 1 links, 1 other pins", "bpf/services-1: 1 maps, 1 links",
                                      "root/api-servers: state", "run/network.sock: socket"}));
}

TEST_F(LeftoversTest, RemovedTwiceAndNothingElse) {
  for (int i = 0; i < 2; i++) {
    auto removed = remove();
    ASSERT_TRUE(removed) << removed.error().message();
    EXPECT_TRUE(found().empty());
    EXPECT_FALSE(fs::exists(home_ / "bpf"));
    EXPECT_TRUE(fs::exists(home_ / "run/other"));
  }
}

TEST_F(LeftoversTest, WhatOthersPinnedStays) {
  put("bpf/services-of-somebody/map");
  ASSERT_TRUE(remove());
  EXPECT_TRUE(fs::exists(home_ / "bpf/services-of-somebody/map"));
  EXPECT_FALSE(fs::exists(home_ / "bpf/services"));
}

TEST_F(LeftoversTest, ADaemonThatHoldsTheFolderIsSeen) {
  EXPECT_TRUE(check_no_daemon(places_));
  Fd held(open((home_ / "bpf/services").c_str(), O_RDONLY | O_DIRECTORY));
  ASSERT_EQ(flock(held.get(), LOCK_EX | LOCK_NB), 0);
  auto refused = check_no_daemon(places_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), Kind::conflict);
  EXPECT_NE(refused.error().message().find("bpf/services: stop it first"), std::string::npos);
}

}  // namespace
}  // namespace keelson::network
