// SPDX-License-Identifier: Apache-2.0
// For tests: a watch of a server with faults.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/task_group.h"
#include "kube/client/fault_server.h"
#include "kube/client/watch.h"

namespace keelson::kube::testing {

using namespace std::chrono_literals;

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
  std::map<std::string, int> objects_;  // ports
  int synced_ = 0;
  int batches_ = 0;
  bool closed_ = false;
  std::vector<std::string> failures_;
  std::vector<Duration> waits_;
};

}  // namespace keelson::kube::testing
