// SPDX-License-Identifier: Apache-2.0
// Whatever breaks, the consumer's objects become the server's, and the server is not stormed.
#include "kube/client/watch.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "common/atomic_file.h"
#include "kube/client/fault_server.h"

namespace keelson::kube {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;
using Ports = std::map<std::string, int>;

/// A server, a client that watches it, and what the consumer made of it. Time is the clock's: it passes when nothing is
/// under way.
class WatchTest : public ::testing::Test {
 protected:
  void TearDown() override {
    tasks_.spawn("close", close());
    while (!closed_) {
      step();
    }
  }

  void start(uint64_t seed, int page_size = 500) {
    server_.emplace(loop_, FaultServerOptions{.seed = seed});
    begin(server_->access(), seed, page_size);
  }
  void begin(ClusterAccess access, uint64_t seed, int page_size = 500, bool newest = false) {
    client_.emplace(loop_, std::move(access));
    watch_.emplace(*client_, WatchOptions{.newest = newest, .page_size = page_size, .seed = seed},
                   WatchConsumer<Service>{.synced = [this](std::vector<Service> all) { replace(std::move(all)); },
                                          .changed = [this](Changes<Service> changes) { change(std::move(changes)); },
                                          .failed =
                                              [this](const Error& error, Duration wait) {
                                                failures_.push_back(error.message());
                                                waits_.push_back(wait);
                                              }});
    tasks_.spawn("watch", watch_->run());
  }

  /// One turn: what is ready; and when that is nothing, a little time.
  void step() {
    loop_.io().restart();
    if (loop_.io().run_for(1ms) == 0) {
      loop_.advance(clock_, 50ms);
    }
  }
  void pass(Duration time) {
    const auto end = clock_.steady() + time;
    while (clock_.steady() < end) {
      step();
    }
  }
  /// Until `done`; fails after 10 minutes of the clock.
  bool until(const std::function<bool()>& done, Duration most = 10min) {
    const auto end = clock_.steady() + most;
    while (!done()) {
      if (clock_.steady() > end) {
        return false;
      }
      step();
    }
    return true;
  }
  bool settles() {
    return until([this] { return synced_ > 0 && objects_ == server_->world(); });
  }

  void replace(std::vector<Service> all) {
    ++synced_;
    objects_.clear();
    for (const Service& service : all) {
      objects_[full_name(service.metadata)] = service.ports[0].port;
    }
  }
  void change(Changes<Service> changes) {
    ++batches_;
    for (const Service& service : changes.changed) {
      objects_[full_name(service.metadata)] = service.ports[0].port;
    }
    for (const RemovedObject& gone : changes.removed) {
      EXPECT_TRUE(std::ranges::none_of(
          changes.changed, [&](const Service& service) { return full_name(service.metadata) == gone.name; }));
      objects_.erase(gone.name);
    }
  }
  size_t requests_of(std::string_view part) const {
    return static_cast<size_t>(std::ranges::count_if(
        server_->requests(), [part](const auto& seen) { return seen.target.find(part) != std::string::npos; }));
  }

  Task<> close() {
    if (server_) {
      (void)(co_await server_->close()).has_value();
    }
    if (client_) {
      (void)(co_await client_->close()).has_value();
    }
    closed_ = true;
    co_return Result<>();
  }

  FakeClock clock_;
  Loop loop_{clock_, "test"};
  std::optional<FaultServer> server_;
  std::optional<Client> client_;
  std::optional<Watch<Service>> watch_;
  TaskGroup tasks_{loop_};
  Ports objects_;
  int synced_ = 0;
  int batches_ = 0;
  bool closed_ = false;
  std::vector<std::string> failures_;
  std::vector<Duration> waits_;
};

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

/// Any mix of faults, then peace: the consumer has what the server has, and no second saw more requests than a list has
/// pages and a few.
class StormTest : public WatchTest, public ::testing::WithParamInterface<uint64_t> {};

TEST_P(StormTest, TheObjectsBecomeTheServers) {
  std::mt19937_64 random(GetParam());
  const auto draw = [&random](int most) { return static_cast<int>(random() % static_cast<uint64_t>(most)); };
  start(GetParam(), 5);
  for (int i = 0; i < 20; ++i) {
    server_->put(fmt::format("s{}", draw(40)), draw(60000) + 1);
  }
  for (int round = 0; round < 15; ++round) {
    constexpr int kStatus[] = {429, 500, 503, 403, 504};
    server_->faults = {.refuse = draw(300),
                       .refuse_status = kStatus[draw(5)],
                       .cut = draw(200),
                       .split = draw(300),
                       .duplicate = draw(300),
                       .delay = draw(100),
                       .gone = draw(200),
                       .gone_page = draw(200),
                       .gone_event = draw(100),
                       .garbage = draw(100)};
    server_->lagging = draw(5) == 0;
    for (int i = draw(12); i > 0; --i) {
      const auto name = fmt::format("s{}", draw(40));
      draw(3) == 0 ? server_->remove(name) : server_->put(name, draw(60000) + 1);
    }
    switch (draw(8)) {
      case 0:
        server_->compact();
        break;
      case 1:
        server_->shut();
        pass(std::chrono::milliseconds(draw(4000)));
        server_->listen();
        break;
      case 2:
        server_->pass();
        server_->send_bookmarks();
        break;
      case 3:
        server_->token = "other";
        pass(2s);
        server_->token = "good";
        break;
      default:
        break;
    }
    pass(std::chrono::milliseconds(draw(3000)));
  }
  server_->faults = {};
  server_->lagging = false;
  ASSERT_TRUE(settles()) << "seed " << GetParam();
  const auto& requests = server_->requests();
  for (size_t i = 24; i < requests.size(); ++i) {
    EXPECT_GT(requests[i].when - requests[i - 24].when, 1s) << "a storm before request " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, StormTest, ::testing::Range<uint64_t>(1, 7));

}  // namespace
}  // namespace keelson::kube
