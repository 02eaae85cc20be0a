// SPDX-License-Identifier: Apache-2.0
// Whatever breaks, the consumer's objects become the server's, and the server is not stormed.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "common/atomic_file.h"
#include "kube/client/watch_fixture.h"

namespace keelson::kube::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Ports = std::map<std::string, int>;

TEST_F(WatchTest, ListsInPagesThenFollows) {
  start(1, 3);
  for (int i = 0; i < 10; ++i) {
    server_->put(fmt::format("s{}", i), 80 + i);
  }
  ASSERT_TRUE(settles());
  EXPECT_EQ(requests_of("limit=3"), 4U);
  EXPECT_EQ(requests_of("continue="), 3U);
  EXPECT_EQ(server_->requests()[0].target, "/api/v1/services?limit=3&resourceVersion=0");
  ASSERT_TRUE(until([this] { return server_->watch_count() == 1; }));
  server_->put("s3", 1000);
  server_->remove("s4");
  server_->put("new", 5);
  ASSERT_TRUE(settles());
  EXPECT_EQ(synced_, 1);
  EXPECT_TRUE(failures_.empty()) << failures_[0];
  EXPECT_EQ(client_->server(), server_->address());
  Stats stats;
  client_->collect(stats);
  const auto& sent = stats.families().at("rest_client_requests_total").samples;
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].value, 5) << "four lists and a watch";
  EXPECT_EQ(stats.families().at("rest_client_request_duration_seconds").samples[0].histogram[0].count(), 4U);
}

TEST_F(WatchTest, TheFirstListIsOfTheNewestIfAskedFor) {
  server_.emplace(loop_, FaultServerOptions{.seed = 1});
  server_->put("a", 1);
  begin(server_->access(), 1, 500, true);
  ASSERT_TRUE(settles());
  EXPECT_EQ(server_->requests()[0].target, "/api/v1/services?limit=500");
}

TEST_F(WatchTest, ABrokenWatchGoesOnFromTheLastVersion) {
  start(2);
  server_->put("a", 1);
  ASSERT_TRUE(settles());
  ASSERT_TRUE(until([this] { return server_->watch_count() == 1; }));
  server_->pass();
  server_->pass();
  server_->send_bookmarks();  // version 103
  pass(1s);
  server_->shut();
  server_->put("b", 2);
  server_->remove("a");
  pass(20s);
  EXPECT_EQ(objects_, (Ports{{"shop/a", 1}})) << "the API is away: what was known stays";
  EXPECT_GE(failures_.size(), 2U);
  EXPECT_FALSE(watch_->healthy());
  server_->listen();
  ASSERT_TRUE(settles());
  EXPECT_EQ(synced_, 1) << "no second list";
  EXPECT_TRUE(watch_->healthy());
  EXPECT_GE(requests_of("watch=true&allowWatchBookmarks=true&resourceVersion=103"), 1U);
}

TEST_F(WatchTest, GoneListsAgainAndAtOnce) {
  start(3);
  server_->put("a", 1);
  ASSERT_TRUE(settles());
  ASSERT_TRUE(until([this] { return server_->watch_count() == 1; }));
  server_->compact();  // the running watch gets it as an event
  server_->put("b", 2);
  server_->compact();
  ASSERT_TRUE(settles());
  EXPECT_EQ(synced_, 2);
  EXPECT_TRUE(failures_.empty()) << failures_[0];
  EXPECT_EQ(requests_of("resourceVersion=0"), 1U) << "the second list is of the newest";
}

TEST_F(WatchTest, APageThatExpiresIsFollowedByAWholeList) {
  server_.emplace(loop_, FaultServerOptions{.seed = 4});
  for (int i = 0; i < 10; ++i) {
    server_->put(fmt::format("s{}", i), 80);
  }
  server_->faults.gone_page = 1000;
  begin(server_->access(), 4, 4);
  ASSERT_TRUE(settles());
  EXPECT_EQ(synced_, 1) << "no half list is handed out";
  EXPECT_EQ(requests_of("continue="), 1U);
  EXPECT_GE(std::ranges::count(server_->requests(), "/api/v1/services", &FaultServer::Seen::target), 1);
}

TEST_F(WatchTest, AServerThatLagsIsNotBelieved) {
  start(5);
  server_->put("a", 1);
  ASSERT_TRUE(settles());
  server_->lagging = true;
  server_->put("b", 2);
  server_->compact();
  server_->put("c", 3);
  ASSERT_TRUE(settles());
  EXPECT_EQ(objects_.size(), 3U);
}

TEST_F(WatchTest, RetryAfterIsObeyed) {
  server_.emplace(loop_, FaultServerOptions{.seed = 6});
  server_->faults = {.refuse = 1000, .refuse_status = 429};
  begin(server_->access(), 6);
  pass(60s);
  ASSERT_GE(waits_.size(), 3U);
  EXPECT_GE(*std::ranges::min_element(waits_), 3s);
  EXPECT_LE(server_->requests().size(), 12U);
  EXPECT_THAT(failures_[0], HasSubstr("list services: 429: refused by chance"));
  server_->faults = {};
  ASSERT_TRUE(settles());
}

TEST_F(WatchTest, WaitsDoubleUpToHalfAMinuteStretchedAtRandom) {
  server_.emplace(loop_, FaultServerOptions{.seed = 7});
  server_->faults = {.refuse = 1000};
  begin(server_->access(), 7);
  pass(5min);
  Duration base = 800ms;
  for (size_t i = 0; i < waits_.size(); ++i) {
    EXPECT_GE(waits_[i], base) << i;
    EXPECT_LE(waits_[i], 2 * base) << i;
    base = std::min<Duration>(base * 2, 30s);
  }
  EXPECT_GE(waits_.size(), 7U);
}

TEST_F(WatchTest, AWaitCanBeCutShort) {
  start(11);
  ASSERT_TRUE(settles());
  server_->shut();
  ASSERT_TRUE(until([this] { return waits_.size() >= 6; }));  // 26 s at least
  server_->listen();
  server_->put("s", 1);
  watch_->retry_now();
  EXPECT_TRUE(until([this] { return objects_ == server_->world(); }, 2s));
  watch_->retry_now();  // where nobody waits it means nothing
  server_->put("s", 2);
  EXPECT_TRUE(until([this] { return objects_ == server_->world(); }, 2s));
}

TEST_F(WatchTest, ForbiddenSaysWhichRuleIsMissing) {
  server_.emplace(loop_, FaultServerOptions{.seed = 8});
  server_->faults = {.refuse = 1000, .refuse_status = 403};
  begin(server_->access(), 8);
  pass(5s);
  ASSERT_FALSE(failures_.empty());
  EXPECT_THAT(failures_[0],
              HasSubstr("403: refused by chance; it wants a ClusterRole with the rule {apiGroups: [\"\"], "
                        "resources: [\"services\"], verbs: [\"list\", \"watch\"]}"));
}

TEST_F(WatchTest, ATokenThatExpiresIsReadAgain) {
  const auto path = ::testing::TempDir() + fmt::format("/token-{}", ::getpid());
  ASSERT_TRUE(write_file_atomic(path, "good\n"));
  server_.emplace(loop_, FaultServerOptions{.seed = 9});
  auto access = server_->access();
  access.credentials = std::make_shared<Credentials>(CredentialSource{.token_file = path});
  begin(std::move(access), 9);
  server_->put("a", 1);
  ASSERT_TRUE(settles());
  server_->token = "better";
  server_->shut();
  server_->listen();
  pass(10s);
  ASSERT_FALSE(failures_.empty());
  EXPECT_THAT(failures_.back(), HasSubstr("401: Unauthorized; the credential"));
  EXPECT_THAT(failures_.back(), Not(HasSubstr("good")));
  server_->put("b", 2);
  ASSERT_TRUE(write_file_atomic(path, "better\n"));
  ASSERT_TRUE(settles());
  ::unlink(path.c_str());
}

TEST_F(WatchTest, AnotherServerTakesOver) {
  start(10);
  server_->put("a", 1);
  FaultServer other(loop_, server_->options());
  other.put("a", 1);
  ASSERT_TRUE(settles());
  client_->set_other_servers({{.host = "127.0.0.1", .port = 1}, other.address()});
  ASSERT_TRUE(until([this] { return server_->watch_count() == 1; }));
  server_->shut();
  other.put("b", 2);
  EXPECT_TRUE(until([this] { return objects_.contains("shop/b"); }));
  EXPECT_EQ(client_->server(), other.address());
  EXPECT_EQ(synced_, 1) << "its watch goes on from the same version";
  bool closed = false;
  tasks_.spawn("close", [](FaultServer& server, bool& done) -> Task<> {
    KEELSON_CO_DO(co_await server.close());
    done = true;
    co_return Result<>();
  }(other, closed));
  until([&closed] { return closed; });
}

TEST_F(WatchTest, WhenNoServerAnswersAllAreNamed) {
  start(12);
  server_->shut();
  client_->set_other_servers({{.host = "127.0.0.1", .port = 1}});
  pass(2s);
  ASSERT_FALSE(failures_.empty());
  EXPECT_THAT(failures_[0], HasSubstr(to_string(server_->address())));
  EXPECT_THAT(failures_[0], HasSubstr("127.0.0.1:1: "));
}

TEST_F(WatchTest, AServerThatOnlyListensIsNoticed) {
  start(13);
  server_->put("a", 1);
  ASSERT_TRUE(settles());
  ASSERT_TRUE(until([this] { return server_->watch_count() == 1; }));
  pass(20s);
  EXPECT_TRUE(failures_.empty()) << "silence alone is no failure: " << failures_[0];
  server_->mute = true;
  ASSERT_TRUE(until([this] { return !failures_.empty(); }, 60s));
  EXPECT_THAT(failures_[0], HasSubstr("watch services: the API server has been silent for 40 s"));
  server_->mute = false;
  server_->put("b", 2);
  ASSERT_TRUE(settles());
}

TEST_F(WatchTest, ACertificateOfAnotherNameIsNoServer) {
  server_.emplace(loop_, FaultServerOptions{.seed = 14});
  auto access = server_->access();
  access.tls_name = "other";
  begin(std::move(access), 14);
  pass(3s);
  ASSERT_FALSE(failures_.empty());
  EXPECT_TRUE(server_->requests().empty()) << "not even the token was sent";
}

}  // namespace
}  // namespace keelson::kube::testing
