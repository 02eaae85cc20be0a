// SPDX-License-Identifier: Apache-2.0
#include "agent/config/credential_plugins.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "agent/config/image_auth.h"
#include "common/log.h"
#include "common/task_group.h"
#include "metrics/exposition.h"

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;
namespace fs = std::filesystem;

constexpr const char* kVersion = "credentialprovider.kubelet.k8s.io/v1";

std::string answer(const std::string& more) {
  return fmt::format(R"({{"kind":"CredentialProviderResponse","apiVersion":"{}",{}}})", kVersion, more);
}

/// Service accounts that are all alike: the name is in the uid, a pod's token is "token-<pod>-<audience>-<uid>".
class SmallAccounts : public PodInputs {
 public:
  Task<TokenMap> provide(kube::Pod) override { co_return TokenMap(); }
  Result<> check_environment(const kube::Pod&, const kube::Container&) const override { return {}; }
  Task<ServiceAccount> service_account(kube::Pod pod) override {
    if (missing) {
      co_return fail(Kind::not_found, "serviceaccounts \"{}\" not found", pod.spec.service_account_name);
    }
    co_return ServiceAccount{.uid = "uid-" + pod.spec.service_account_name + more_uid, .annotations = annotations};
  }
  Task<std::string> service_account_token(kube::Pod pod, std::string audience, std::string account_uid) override {
    if (refused) {
      co_return fail(Kind::permission, "no token for you");
    }
    co_return fmt::format("token-{}-{}-{}", pod.metadata.name, audience, account_uid);
  }
  void forget(const std::string&) override {}

  kube::StringMap annotations;
  std::string more_uid;
  bool missing = false;
  bool refused = false;
};

/// A provider "ecr" for *.example.com, which answers `out`.
class CredentialPluginsTest : public ::testing::Test {
 protected:
  CredentialPluginsTest() {
    log::set_level(log::Level::off);
    provider_ = {.name = "ecr", .api_version = kVersion, .match_images = {"*.example.com", "other.org/team"}};
  }
  void start() {
    plugins_.emplace(
        loop_, CredentialProviders{.list = {provider_}, .hash = "sha256:0"}, "/plugins",
        [this](Command command) { return run(std::move(command)); }, &accounts_);
  }
  Task<CommandOutput> run(Command command) {
    commands_.push_back(command);
    if (held_) {
      co_await hold_.async_wait(use_result);
    }
    co_return CommandOutput{.exit_code = exit_code_, .out = out_, .error = "broken"};
  }
  Task<> keep_logins(std::string image) {
    auto found = co_await plugins_->logins(pod_, std::move(image));
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

  std::string metrics() const {
    Stats stats;
    plugins_->collect(stats);
    return metrics::prometheus_text(stats);
  }

  FakeClock clock_;
  Loop loop_{clock_, "test"};
  SmallAccounts accounts_;
  kube::Pod pod_;
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

TEST_F(CredentialPluginsTest, WhatIsAskedIsCountedByTheKubeletsNames) {
  start();
  EXPECT_THAT(metrics(), HasSubstr("kubelet_credential_provider_config_info{hash=\"sha256:0\"} 1\n"));
  EXPECT_THAT(metrics(), Not(HasSubstr("plugin_name")));
  runs_after("a.example.com/x");
  EXPECT_THAT(metrics(), HasSubstr("kubelet_credential_provider_plugin_duration_count{plugin_name=\"ecr\"} 1\n"));
  EXPECT_THAT(metrics(), Not(HasSubstr("errors_total{")));
  exit_code_ = 1;
  runs_after("a.example.com/x");
  EXPECT_THAT(metrics(), HasSubstr("kubelet_credential_provider_plugin_duration_count{plugin_name=\"ecr\"} 2\n"));
  EXPECT_THAT(metrics(), HasSubstr("kubelet_credential_provider_plugin_errors_total{plugin_name=\"ecr\"} 1\n"));
}

/// A provider that acts for service accounts, asked for pod "web" of account "app".
class CredentialTokens : public CredentialPluginsTest {
 protected:
  CredentialTokens() {
    provider_.token = TokenAttributes{.audience = "aud", .required_annotations = {}, .optional_annotations = {}};
    provider_.default_cache_duration = 10min;
    be("web", "app");
  }
  void be(const std::string& pod, const std::string& account) {
    pod_.metadata.ns = "shop";
    pod_.metadata.name = pod;
    pod_.spec.service_account_name = account;
  }
  std::string request() const { return commands_.back().input; }
};

TEST_F(CredentialTokens, TheProgramIsToldATokenOfThePodsAccountAndAnnotations) {
  provider_.token->required_annotations = {"role"};
  provider_.token->optional_annotations = {"region", "tenant"};
  accounts_.annotations = {{"role", "puller"}, {"tenant", "t1"}, {"secret", "not asked for"}};
  start();
  EXPECT_EQ(runs_after("a.example.com/x"), 1U);
  EXPECT_EQ(request(),
            fmt::format(R"({{"kind":"CredentialProviderRequest","apiVersion":"{}","image":"a.example.com/x",)"
                        R"("serviceAccountToken":"token-web-aud-uid-app",)"
                        R"("serviceAccountAnnotations":{{"role":"puller","tenant":"t1"}}}})",
                        kVersion));
  EXPECT_EQ(logins_.size(), 1U);
}

TEST_F(CredentialTokens, AnswersAreKeptForTheTokenAlone) {
  start();
  EXPECT_EQ(runs_after("a.example.com/x"), 1U);
  EXPECT_EQ(runs_after("a.example.com/y"), 1U) << "kept for the registry";
  be("other", "app");
  EXPECT_EQ(runs_after("a.example.com/x"), 2U) << "another token";
  be("web", "app");
  EXPECT_EQ(runs_after("a.example.com/x"), 2U);
  clock_.advance(10min);
  EXPECT_EQ(runs_after("a.example.com/x"), 3U);
}

TEST_F(CredentialTokens, AnswersAreKeptForTheAccount) {
  provider_.token->cache_type = TokenAttributes::CacheType::service_account;
  provider_.token->optional_annotations = {"role"};
  start();
  EXPECT_EQ(runs_after("a.example.com/x"), 1U);
  be("other", "app");
  EXPECT_EQ(runs_after("a.example.com/x"), 1U) << "the same account";
  pod_.metadata.ns = "bank";
  EXPECT_EQ(runs_after("a.example.com/x"), 2U) << "the name again, but elsewhere";
  be("other", "base");
  EXPECT_EQ(runs_after("a.example.com/x"), 3U);
  be("web", "app");
  accounts_.annotations = {{"role", "puller"}};
  EXPECT_EQ(runs_after("a.example.com/x"), 4U) << "what it is told has changed";
  accounts_.more_uid = "-2";
  EXPECT_EQ(runs_after("a.example.com/x"), 5U) << "made anew";
}

TEST_F(CredentialTokens, PullsOfOtherPodsDoNotWait) {
  held_ = true;
  start();
  EXPECT_EQ(runs_after("a.example.com/x"), 1U);
  EXPECT_EQ(runs_after("a.example.com/x"), 1U) << "waits for the first";
  be("other", "app");
  EXPECT_EQ(runs_after("a.example.com/x"), 2U) << "would take no answer of the first";
  held_ = false;
  hold_.cancel();
  loop_.run_until_idle();
  EXPECT_EQ(commands_.size(), 2U);
  EXPECT_EQ(logins_.size(), 3U);
}

TEST_F(CredentialTokens, APodWithoutAnAccountHasNoTokenOrIsNotAskedFor) {
  be("static", "");
  start();
  EXPECT_EQ(runs_after("a.example.com/x"), 1U);
  EXPECT_THAT(request(), Not(HasSubstr("serviceAccount")));
  provider_.token->require_service_account = true;
  start();
  EXPECT_EQ(runs_after("a.example.com/x"), 1U);
  be("web", "app");
  EXPECT_EQ(runs_after("a.example.com/x"), 2U);
  provider_.token->required_annotations = {"role"};
  start();
  EXPECT_EQ(runs_after("a.example.com/x"), 2U) << "the account has not opted in";
  accounts_.annotations = {{"role", ""}};
  EXPECT_EQ(runs_after("a.example.com/x"), 3U);
}

TEST_F(CredentialTokens, WithoutTheAccountOrATokenNobodyIsAsked) {
  start();
  accounts_.missing = true;
  EXPECT_EQ(runs_after("a.example.com/x"), 0U);
  accounts_.missing = false;
  accounts_.refused = true;
  EXPECT_EQ(runs_after("a.example.com/x"), 0U);
  plugins_.emplace(
      loop_, CredentialProviders{.list = {provider_}, .hash = {}}, "/plugins",
      [this](Command command) { return run(std::move(command)); }, nullptr);
  EXPECT_EQ(runs_after("a.example.com/x"), 0U) << "no API server";
  EXPECT_TRUE(logins_.empty());
}

TEST_F(CredentialTokens, TheTokenItselfIsALoginWhereAnswersAreOfOneTokenAlone) {
  out_ = answer(R"("cacheKeyType":"Registry","auth":{"*.example.com":{"username":"u","password":)"
                R"("token-web-aud-uid-app"}})");
  provider_.token->cache_type = TokenAttributes::CacheType::service_account;
  start();
  EXPECT_EQ(runs_after("a.example.com/x"), 1U);
  EXPECT_TRUE(logins_.empty()) << "it would be kept for other pods";
  EXPECT_EQ(runs_after("a.example.com/x"), 2U) << "nor is it kept";
  provider_.token->cache_type = TokenAttributes::CacheType::token;
  start();
  EXPECT_EQ(runs_after("a.example.com/x"), 3U);
  EXPECT_EQ(logins_.size(), 1U);
}

TEST_F(CredentialPluginsTest, AProgramReadsTheRequestAndAnswers) {
  const fs::path dir = fs::path(::testing::TempDir()) / fmt::format("plugins-{}", ::getpid());
  fs::create_directories(dir);
  std::ofstream(dir / "ecr") << "#!/bin/sh\ngrep -q '\"image\":\"a.example.com/x\"' && echo '" << out_ << "'\n";
  fs::permissions(dir / "ecr", fs::perms::owner_all);
  plugins_.emplace(
      loop_, CredentialProviders{.list = {provider_}, .hash = {}}, dir,
      [](Command command) -> Task<CommandOutput> { co_return run_command(command); }, nullptr);
  runs_after("a.example.com/x");
  EXPECT_EQ(logins_.size(), 1U);
  runs_after("b.example.com/x");
  EXPECT_EQ(logins_.size(), 1U);
  fs::remove_all(dir);
}

}  // namespace
}  // namespace keelson::agent
