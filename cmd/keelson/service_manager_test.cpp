// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/service_manager.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "common/fd.h"
#include "common/task_group.h"

namespace keelson::cli {
namespace {

using namespace std::chrono_literals;

/// A manager's socket: "@name" is an abstract one.
class ServiceManagerTest : public ::testing::Test {
 protected:
  ServiceManagerTest() {
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    std::memcpy(address.sun_path + 1, name_.data() + 1, name_.size() - 1);
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size());
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
    ::setenv("NOTIFY_SOCKET", name_.c_str(), 1);
    ::unsetenv("WATCHDOG_USEC");
    ::unsetenv("WATCHDOG_PID");
  }
  /// What was told since the last call, joined by spaces.
  std::string told() {
    std::string all;
    char text[64];
    for (ssize_t size = 0; (size = ::recv(socket_.get(), text, sizeof text, MSG_DONTWAIT)) > 0;) {
      all += (all.empty() ? "" : " ") + std::string(text, static_cast<size_t>(size));
    }
    return all;
  }

  const std::string name_ = fmt::format("@keelson-test-{}", ::getpid());
  const Fd socket_{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
};

TEST_F(ServiceManagerTest, IsToldAndNobodyElseCanSpeakForUs) {
  const ServiceManager manager;
  EXPECT_EQ(::getenv("NOTIFY_SOCKET"), nullptr);
  manager.ready();
  manager.stopping();
  EXPECT_EQ(told(), "READY=1 STOPPING=1");
  EXPECT_FALSE(manager.period());
  const ServiceManager none;
  none.ready();
  EXPECT_EQ(told(), "");
}

TEST_F(ServiceManagerTest, HearsOfALoopThatTurnsTwiceInItsPatience) {
  ::setenv("WATCHDOG_USEC", "30000000", 1);
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  const ServiceManager manager;
  FakeClock clock;
  Loop loop(clock, "test");
  TaskGroup group(loop);
  group.spawn("alive", keep_alive(&loop, &manager));
  loop.advance(clock, 14s);
  EXPECT_EQ(told(), "WATCHDOG=1");
  loop.advance(clock, 31s);
  EXPECT_EQ(told(), "WATCHDOG=1 WATCHDOG=1 WATCHDOG=1");
  group.cancel();
  loop.run_until_idle();
}

TEST_F(ServiceManagerTest, WaitsForAnotherProcess) {
  ::setenv("WATCHDOG_USEC", "30000000", 1);
  ::setenv("WATCHDOG_PID", "1", 1);
  EXPECT_FALSE(ServiceManager().period());
}

}  // namespace
}  // namespace keelson::cli
