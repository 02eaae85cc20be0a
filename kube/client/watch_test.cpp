// SPDX-License-Identifier: Apache-2.0
// Whatever breaks, the consumer's objects become the server's, and the server is not stormed.
#include "kube/client/watch.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "kube/client/fault_server.h"

namespace keelson::kube {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
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
    server_.emplace(loop_, seed);
    begin(server_->access(), seed, page_size);
  }
  void begin(ClusterAccess access, uint64_t seed, int page_size = 500) {
    client_.emplace(loop_, std::move(access));
    watch_.emplace(*client_, WatchOptions{.page_size = page_size, .seed = seed},
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
    for (const std::string& name : changes.removed) {
      EXPECT_TRUE(std::ranges::none_of(changes.changed,
                                       [&](const Service& service) { return full_name(service.metadata) == name; }));
      objects_.erase(name);
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
}

}  // namespace
}  // namespace keelson::kube
