// SPDX-License-Identifier: Apache-2.0
// A server that vanishes without a word: packets to it are dropped, nobody says so.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/netns.h"
#include "kube/client/fault_server.h"
#include "kube/client/watch.h"
#include "tests/support/process.h"

namespace keelson::kube {
namespace {

using namespace std::chrono_literals;
using keelson::testing::run;

constexpr const char* kServerAddress = "10.251.0.2";

class BlackHoleTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "SKIP: needs root";
    }
    own_ = *open_file("/proc/self/ns/net", O_RDONLY);
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    ASSERT_TRUE(make_directories("/run/netns"));
    ASSERT_TRUE(make_netns("/run/netns/" + name_));
    ip({"link", "add", "client0", "type", "veth", "peer", "name", "server0", "netns", name_});
    ip({"address", "add", "10.251.0.1/24", "dev", "client0"});
    ip({"link", "set", "client0", "up"});
    ip({"-n", name_, "address", "add", std::string(kServerAddress) + "/24", "dev", "server0"});
    ip({"-n", name_, "link", "set", "server0", "up"});
  }
  void TearDown() override {
    if (own_) {
      EXPECT_TRUE(remove_netns("/run/netns/" + name_));
      ASSERT_EQ(::setns(own_.get(), CLONE_NEWNET), 0);
    }
  }
  static void ip(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "ip");
    const auto done = run(arguments);
    ASSERT_EQ(done.code, 0) << done.error;
  }
  /// Runs the loop until `done`, at most for `most`; tells how long it took.
  Duration until(const std::function<bool()>& done, Duration most) {
    const auto begun = real_clock().steady();
    while (!done() && real_clock().steady() - begun < most) {
      loop_.io().restart();
      loop_.io().run_one_for(50ms);
    }
    return real_clock().steady() - begun;
  }

  Fd own_;
  const std::string name_ = fmt::format("kl-api-{}", ::getpid());
  Loop loop_{real_clock(), "test"};
  TaskGroup tasks_{loop_};
};

TEST_F(BlackHoleTest, IsNoticedWithinTenSeconds) {
  std::optional<FaultServer> server;
  {
    auto there = NetnsGuard::enter("/run/netns/" + name_);
    ASSERT_TRUE(there);
    server.emplace(loop_, FaultServerOptions{.address = kServerAddress});
  }
  auto access = server->access();
  access.tls_name = "localhost";
  Client client(loop_, std::move(access));
  std::vector<std::string> failures;
  std::map<std::string, Service> objects;
  Watch<Service> watch(client, {},
                       {.synced = {[&](std::vector<Service>) {}},
                        .changed = {[&](Changes<Service> changes) {
                          for (Service& service : changes.changed) {
                            objects[full_name(service.metadata)] = std::move(service);
                          }
                        }},
                        .failed = {[&](const Error& error, Duration) { failures.push_back(error.message()); }},
                        .left_out = {}});
  tasks_.spawn("watch", watch.run());
  until([&] { return server->watch_count() == 1; }, 60s);
  ASSERT_EQ(server->watch_count(), 1U);
  ASSERT_TRUE(failures.empty()) << failures[0];

  ip({"-n", name_, "address", "del", std::string(kServerAddress) + "/24", "dev", "server0"});
  const auto took = until([&] { return !failures.empty(); }, 60s);
  EXPECT_LE(took, 10s);
  ASSERT_FALSE(failures.empty());

  ip({"-n", name_, "address", "add", std::string(kServerAddress) + "/24", "dev", "server0"});
  server->put("a", 1);
  until([&] { return objects.contains("shop/a"); }, 60s);
  EXPECT_TRUE(objects.contains("shop/a")) << failures.back();

  bool closed = false;
  tasks_.spawn("close", [](FaultServer& s, Client& c, bool& done) -> Task<> {
    KEELSON_CO_DO(co_await s.close());
    KEELSON_CO_DO(co_await c.close());
    done = true;
    co_return Result<>();
  }(*server, client, closed));
  until([&] { return closed; }, 60s);
  EXPECT_TRUE(closed);
}

}  // namespace
}  // namespace keelson::kube
