// SPDX-License-Identifier: Apache-2.0
#include "agent/kubelet_api/review_cache.h"

#include <gtest/gtest.h>

#include "common/task_group.h"

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;

class ReviewCacheTest : public ::testing::Test {
 protected:
  ~ReviewCacheTest() override {
    group_.cancel();
    loop_.run_until_idle();
  }
  /// Answers after a second, unless it fails.
  Task<int> answer(int number) {
    ++asked_;
    KEELSON_CO_DO(co_await loop_.sleep(1s));
    if (failing_) {
      co_return fail(Kind::unavailable, "away");
    }
    co_return number;
  }
  Task<> get(std::string key, int number, std::vector<std::string>* into) {
    auto got = co_await cache_.get(
        std::move(key), [this, number] { return answer(number); }, [](const int&) { return Duration(10s); });
    into->push_back(got ? std::to_string(*got) : got.error().message());
    co_return Result<>();
  }

  int asked_ = 0;
  bool failing_ = false;
  FakeClock clock_;
  Loop loop_{clock_, "test"};
  ReviewCache<int> cache_{loop_, 3};
  TaskGroup group_{loop_};
};

TEST_F(ReviewCacheTest, OneAsksForAll) {
  std::vector<std::string> got;
  for (int i = 0; i < 5; ++i) {
    group_.spawn("get", get("k", i, &got));
  }
  loop_.advance(clock_, 1s);
  EXPECT_EQ(got, std::vector<std::string>(5, "0"));
  EXPECT_EQ(asked_, 1);
  failing_ = true;
  got.clear();
  for (int i = 0; i < 3; ++i) {
    group_.spawn("get", get("other", i, &got));
  }
  loop_.advance(clock_, 1s);
  EXPECT_EQ(got, std::vector<std::string>(3, "away")) << "a failure is everybody's who waited";
  EXPECT_EQ(asked_, 2);
}

TEST_F(ReviewCacheTest, WhoeverWaitsForOneThatGaveUpAsks) {
  std::vector<std::string> got;
  {
    TaskGroup gives_up(loop_);
    gives_up.spawn("get", get("k", 1, &got));
    loop_.run_until_idle();
    group_.spawn("get", get("k", 2, &got));
    group_.spawn("get", get("k", 3, &got));
    loop_.run_until_idle();
    gives_up.cancel();
    loop_.run_until_idle();
  }
  EXPECT_EQ(asked_, 2);
  loop_.advance(clock_, 1s);
  EXPECT_EQ(std::count(got.begin(), got.end(), "2"), 2) << ::testing::PrintToString(got);
}

TEST_F(ReviewCacheTest, IsBounded) {
  std::vector<std::string> got;
  for (int i = 0; i < 100; ++i) {
    group_.spawn("get", get("k" + std::to_string(i), i, &got));
  }
  loop_.run_until_idle();
  EXPECT_EQ(asked_, 64);
  ASSERT_EQ(got.size(), 36U);
  EXPECT_EQ(got[0], "64 reviews wait for an answer of the API server already");
  loop_.advance(clock_, 1s);
  EXPECT_EQ(got.size(), 100U);
  EXPECT_EQ(cache_.size(), 3U);
}

}  // namespace
}  // namespace keelson::agent
