// SPDX-License-Identifier: Apache-2.0
// A watch through any mix of faults, by seeds.
#include <fmt/format.h>

#include <random>

#include "kube/client/watch_fixture.h"

namespace keelson::kube::testing {
namespace {

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
}  // namespace keelson::kube::testing
