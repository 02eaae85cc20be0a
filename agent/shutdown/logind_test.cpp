// SPDX-License-Identifier: Apache-2.0
// The inhibitor on a real D-Bus daemon, with a stand-in for systemd-logind.
#include "agent/shutdown/logind.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include "common/fd.h"
#include "common/log.h"
#include "tests/support/login1.h"

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using testing::Login1;

class LogindTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!Login1::available()) {
      GTEST_SKIP() << "SKIP: needs dbus-daemon";
    }
    log::set_level(log::Level::off);
    std::string pattern = "/tmp/keelson-logind-XXXXXX";
    home_ = ::mkdtemp(pattern.data());
    options_.bus = "unix:path=" + home_ + "/bus";
    options_.delay = 30s;
    options_.config_dir = home_ + "/logind.conf.d";
    options_.retry = 20ms;
    options_.tell = [this](bool going_down) {
      const std::lock_guard guard(mutex_);
      told_.push_back(going_down);
      changed_.notify_all();
    };
  }
  void TearDown() override { std::filesystem::remove_all(home_); }

  template <class F>
  ::testing::AssertionResult comes(F condition) {
    for (int i = 0; i < 6000; ++i) {
      if (condition()) {
        return ::testing::AssertionSuccess();
      }
      std::this_thread::sleep_for(10ms);
    }
    return ::testing::AssertionFailure() << "not within a minute";
  }
  std::vector<bool> told() {
    const std::lock_guard guard(mutex_);
    return told_;
  }

  std::string home_;
  LogindOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<bool> told_;
};

TEST_F(LogindTest, AShutdownWaitsUntilItIsReleasedAndOneThatIsCalledOffForTheNext) {
  Login1 login(home_, 60s);
  LogindInhibitor inhibitor(options_);
  ASSERT_TRUE(comes([&] { return !login.inhibitors().empty(); }));
  EXPECT_THAT(login.inhibitors(), ElementsAre("shutdown kubelet delay"));
  EXPECT_FALSE(std::filesystem::exists(options_.config_dir)) << "60 s are enough";
  login.prepare_for_shutdown(true);
  ASSERT_TRUE(comes([&] { return told() == std::vector{true}; }));
  EXPECT_EQ(login.inhibitors().size(), 1U) << "it waits";
  inhibitor.release();
  ASSERT_TRUE(comes([&] { return login.inhibitors().empty(); }));
  login.prepare_for_shutdown(false);
  ASSERT_TRUE(comes([&] { return told() == std::vector{true, false}; }));
  EXPECT_TRUE(comes([&] { return login.inhibitors().size() == 1; })) << "the next one waits, too";
}

TEST_F(LogindTest, ALogindThatGrantsLessIsAskedForMore) {
  Login1 login(home_, 5s, options_.config_dir);
  const LogindInhibitor inhibitor(options_);
  ASSERT_TRUE(comes([&] { return !login.inhibitors().empty(); }));
  EXPECT_EQ(read_file(options_.config_dir + "/99-kubelet.conf").value_or(""),
            "# Kubelet logind override\n[Login]\nInhibitDelayMaxSec=30\n");
}

TEST_F(LogindTest, ALogindThatComesLaterOrAgainIsFound) {
  const LogindInhibitor inhibitor(options_);
  std::optional<Login1> login(std::in_place, home_, 60s);
  ASSERT_TRUE(comes([&] { return login->inhibitors().size() == 1; }));
  login.reset();
  std::filesystem::remove(home_ + "/bus");
  login.emplace(home_, 60s);
  EXPECT_TRUE(comes([&] { return login->inhibitors().size() == 1; }));
}

TEST_F(LogindTest, ItsEndLetsGo) {
  Login1 login(home_, 60s);
  {
    const LogindInhibitor inhibitor(options_);
    ASSERT_TRUE(comes([&] { return login.inhibitors().size() == 1; }));
  }
  EXPECT_TRUE(comes([&] { return login.inhibitors().empty(); }));
}

}  // namespace
}  // namespace keelson::agent
