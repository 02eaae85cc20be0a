// SPDX-License-Identifier: Apache-2.0
// The watcher with a plugin of the test's own: registered as its socket comes, and anew when that is another.
#include "agent/plugins/plugin_watcher.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>

#include <boost/asio/co_spawn.hpp>

#include "agent/plugins/proto/registration.grpc.pb.h"
#include "common/log.h"

namespace keelson::plugins {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class FakePlugin : public pluginregistration::Registration::Service {
 public:
  grpc::Status GetInfo(grpc::ServerContext*, const pluginregistration::InfoRequest*,
                       pluginregistration::PluginInfo* info) override {
    if (gives_up.exchange(false)) {
      return {grpc::StatusCode::CANCELLED, "context canceled"};
    }
    info->set_type("DevicePlugin");
    info->set_name("example.com/dongle");
    info->set_endpoint("/run/dongle.sock");
    info->add_supported_versions("v1beta1");
    return grpc::Status::OK;
  }
  grpc::Status NotifyRegistrationStatus(grpc::ServerContext*, const pluginregistration::RegistrationStatus*,
                                        pluginregistration::RegistrationStatusResponse*) override {
    ++told;
    return grpc::Status::OK;
  }
  std::atomic<bool> gives_up = false;
  std::atomic<int> told = 0;
};

class Handler : public PluginHandler {
 public:
  Task<> plugin_registered(Plugin plugin) override {
    registered.push_back(plugin.name + " at " + plugin.endpoint);
    co_return Result<>();
  }
  void plugin_gone(const Plugin& plugin) override { gone.push_back(plugin.name); }
  std::vector<std::string> registered;
  std::vector<std::string> gone;
};

class PluginWatcherTest : public ::testing::Test {
 protected:
  PluginWatcherTest() {
    log::set_level(log::Level::off);
    char name[] = "/tmp/keelson-plugins-XXXXXX";
    root_ = ::mkdtemp(name);
    watcher_.emplace(loop_, root_ + "/registry", std::map<std::string, PluginHandler*>{{"DevicePlugin", &handler_}});
    tasks_.spawn("plugins", watcher_->run());
    loop_.run_until_idle();
  }
  ~PluginWatcherTest() override {
    wait(tasks_.close());
    wait(watcher_->close());
    stop();
    fs::remove_all(root_);
  }

  void until(const std::function<bool()>& done) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!done()) {
      ASSERT_LT(std::chrono::steady_clock::now(), limit) << "it did not come";
      loop_.io().restart();
      loop_.io().run_one_for(std::chrono::milliseconds(5));
    }
  }
  void wait(Task<> task) {
    auto over = std::make_shared<bool>(false);
    asio::co_spawn(loop_.io(), std::move(task), [over](std::exception_ptr, const Result<>&) { *over = true; });
    until([&] { return *over; });
  }

  std::string socket() const { return root_ + "/registry/dongle-reg.sock"; }
  void serve() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + socket(), grpc::InsecureServerCredentials());
    builder.RegisterService(&plugin_);
    server_ = builder.BuildAndStart();
    ASSERT_TRUE(server_);
  }
  void stop() {
    if (server_) {
      server_->Shutdown(std::chrono::system_clock::now());
      server_.reset();
    }
  }

  FakeClock clock_;
  Loop loop_{clock_, "plugins"};
  std::string root_;
  FakePlugin plugin_;
  std::unique_ptr<grpc::Server> server_;
  Handler handler_;
  std::optional<PluginWatcher> watcher_;
  TaskGroup tasks_{loop_};
};

TEST_F(PluginWatcherTest, APluginIsRegisteredWhileItsSocketIsThere) {
  serve();
  until([&] { return plugin_.told == 1; });
  EXPECT_THAT(handler_.registered, ElementsAre("example.com/dongle at /run/dongle.sock"));
  EXPECT_THAT(handler_.gone, IsEmpty());
  fs::remove(socket());
  until([&] { return !handler_.gone.empty(); });
  EXPECT_THAT(handler_.gone, ElementsAre("example.com/dongle"));
}

// A plugin that starts anew removes its socket and makes another, which mostly has the number of the first, and both is
// seen at once.
TEST_F(PluginWatcherTest, ANewSocketWithTheNumberOfTheOldOneIsAnotherPlugin) {
  serve();
  until([&] { return plugin_.told == 1; });
  struct stat before{};
  ASSERT_EQ(::stat(socket().c_str(), &before), 0);
  fs::rename(socket(), root_ + "/aside");
  const timespec later{.tv_sec = before.st_mtim.tv_sec + 1, .tv_nsec = 0};
  const timespec times[] = {later, later};
  ASSERT_EQ(::utimensat(AT_FDCWD, (root_ + "/aside").c_str(), times, 0), 0);
  fs::rename(root_ + "/aside", socket());
  struct stat after{};
  ASSERT_EQ(::stat(socket().c_str(), &after), 0);
  ASSERT_EQ(before.st_ino, after.st_ino);
  until([&] { return plugin_.told == 2; });
  EXPECT_THAT(handler_.gone, ElementsAre("example.com/dongle"));
  EXPECT_EQ(handler_.registered.size(), 2U);
  EXPECT_EQ(::chmod(socket().c_str(), 0777), 0);
  fs::create_directory(root_ + "/registry/news");
  loop_.run_until_idle();
  EXPECT_EQ(handler_.gone.size(), 1U) << "who may use it is no news";
}

TEST_F(PluginWatcherTest, APluginThatGivesUpIsAskedAgain) {
  plugin_.gives_up = true;
  serve();
  until([&] {
    loop_.advance(clock_, std::chrono::seconds(1));
    return plugin_.told == 1;
  });
  EXPECT_EQ(handler_.registered.size(), 1U);
}

}  // namespace
}  // namespace keelson::plugins
