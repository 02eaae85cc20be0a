// SPDX-License-Identifier: Apache-2.0
#include "agent/config/credential_plugins.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "agent/config/image_auth.h"
#include "common/log.h"
#include "common/task_group.h"

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr const char* kVersion = "credentialprovider.kubelet.k8s.io/v1";

std::string answer(const std::string& more) {
  return fmt::format(R"({{"kind":"CredentialProviderResponse","apiVersion":"{}",{}}})", kVersion, more);
}

/// A provider "ecr" for *.example.com, which answers `out`.
class CredentialPluginsTest : public ::testing::Test {
 protected:
  CredentialPluginsTest() {
    log::set_level(log::Level::off);
    provider_ = {.name = "ecr", .api_version = kVersion, .match_images = {"*.example.com", "other.org/team"}};
  }
  void start() {
    plugins_.emplace(loop_, std::vector{provider_}, "/plugins",
                     [this](Command command) { return run(std::move(command)); });
  }
  Task<CommandOutput> run(Command command) {
    commands_.push_back(command);
    if (held_) {
      co_await hold_.async_wait(use_result);
    }
    co_return CommandOutput{.exit_code = exit_code_, .out = out_, .error = "broken"};
  }
  Task<> keep_logins(std::string image) {
    auto found = co_await plugins_->logins(std::move(image));
    for (const auto& text : found.value_or(std::vector<std::string>())) {
      logins_.push_back(text);
    }
    co_return Result<>();
  }
  /// How often the program has been run once this image's logins are there.
  size_t runs_after(const std::string& image) {
    group_.spawn("logins", keep_logins(image));
    loop_.run_until_idle();
    return commands_.size();
  }

  FakeClock clock_;
  Loop loop_{clock_, "test"};
  asio::steady_timer hold_{loop_.io(), asio::steady_timer::time_point::max()};
  bool held_ = false;
  int exit_code_ = 0;
  std::string out_ = answer(R"("cacheKeyType":"Registry","auth":{"*.example.com":{"username":"u","password":"p"}})");
  CredentialProvider provider_;
  std::optional<CredentialPlugins> plugins_;
  std::vector<Command> commands_;
  std::vector<std::string> logins_;
  TaskGroup group_{loop_};
};

TEST_F(CredentialPluginsTest, AreAskedForImagesThatMatchAndAnswerLogins) {
  provider_.args = {"get"};
  provider_.env = {{"PATH", "/only"}};
  start();
  EXPECT_EQ(runs_after("a.example.com/x"), 1U);
  EXPECT_EQ(commands_[0].args, (std::vector<std::string>{"/plugins/ecr", "get"}));
  EXPECT_EQ(commands_[0].input, fmt::format(R"({{"kind":"CredentialProviderRequest","apiVersion":"{}",)"
                                            R"("image":"a.example.com/x"}})",
                                            kVersion));
  EXPECT_EQ(std::ranges::count_if(commands_[0].env, [](const auto& e) { return e.starts_with("PATH="); }), 1);
  EXPECT_NE(std::ranges::find(commands_[0].env, "PATH=/only"), commands_[0].env.end());
  ASSERT_EQ(logins_.size(), 1U);
  const auto found = find_logins({{logins_[0], false}}, "a.example.com/x:1");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].password, "p");
  EXPECT_EQ(runs_after("example.com/x"), 1U);
  EXPECT_EQ(runs_after("other.org/else"), 1U);
  EXPECT_EQ(runs_after("other.org/team/x"), 2U);
}

TEST_F(CredentialPluginsTest, AnswersAreKeptAsTheySay) {
  provider_.default_cache_duration = 10min;
  start();
  EXPECT_EQ(runs_after("a.example.com/x"), 1U);
  EXPECT_EQ(runs_after("a.example.com/y"), 1U) << "kept for the registry";
  EXPECT_EQ(runs_after("b.example.com/y"), 2U);
  clock_.advance(10min);
  EXPECT_EQ(runs_after("a.example.com/x"), 3U) << "as long as the configuration says";
  clock_.advance(1h);
  out_ = answer(R"("cacheKeyType":"Image","cacheDuration":"1m0s","auth":null)");
  EXPECT_EQ(runs_after("a.example.com/x"), 4U);
  EXPECT_EQ(runs_after("a.example.com/x"), 4U);
  EXPECT_EQ(runs_after("a.example.com/y"), 5U) << "kept for the image";
  clock_.advance(1min);
  out_ = answer(R"("cacheKeyType":"Global","cacheDuration":"1h")");
  EXPECT_EQ(runs_after("a.example.com/x"), 6U) << "as long as the answer says";
  EXPECT_EQ(runs_after("c.example.com/z"), 6U) << "kept for all";
  clock_.advance(2h);
  out_ = answer(R"("cacheKeyType":"Image","cacheDuration":"0s")");
  EXPECT_EQ(runs_after("a.example.com/x"), 7U);
  EXPECT_EQ(runs_after("a.example.com/x"), 8U) << "not kept";
}

TEST_F(CredentialPluginsTest, PullsAtTheSameTimeShareAnAnswer) {
  provider_.default_cache_duration = 10min;
  held_ = true;
  start();
  runs_after("a.example.com/x");
  EXPECT_EQ(runs_after("a.example.com/y"), 1U);
  held_ = false;
  hold_.cancel();
  loop_.run_until_idle();
  EXPECT_EQ(commands_.size(), 1U);
  EXPECT_EQ(logins_.size(), 2U);
}

TEST_F(CredentialPluginsTest, WhatIsNoAnswerHasNoLogins) {
  start();
  for (const auto& [code, out] : std::vector<std::pair<int, std::string>>{
           {1, out_},
           {0, "secret"},
           {0, answer(R"("cacheKeyType":"Ever","auth":{})")},
           {0, R"({"kind":"CredentialProviderResponse","apiVersion":"credentialprovider.kubelet.k8s.io/v1beta1",)"
               R"("cacheKeyType":"Image"})"}}) {
    exit_code_ = code;
    out_ = out;
    runs_after("a.example.com/x");
  }
  EXPECT_EQ(commands_.size(), 4U);
  EXPECT_TRUE(logins_.empty());
}

TEST_F(CredentialPluginsTest, AProgramReadsTheRequestAndAnswers) {
  const fs::path dir = fs::path(::testing::TempDir()) / fmt::format("plugins-{}", ::getpid());
  fs::create_directories(dir);
  std::ofstream(dir / "ecr") << "#!/bin/sh\ngrep -q '\"image\":\"a.example.com/x\"' && echo '" << out_ << "'\n";
  fs::permissions(dir / "ecr", fs::perms::owner_all);
  plugins_.emplace(loop_, std::vector{provider_}, dir,
                   [](Command command) -> Task<CommandOutput> { co_return run_command(command); });
  runs_after("a.example.com/x");
  EXPECT_EQ(logins_.size(), 1U);
  runs_after("b.example.com/x");
  EXPECT_EQ(logins_.size(), 1U);
  fs::remove_all(dir);
}

}  // namespace
}  // namespace keelson::agent
