// SPDX-License-Identifier: Apache-2.0
#include "common/result.h"

#include <gtest/gtest.h>

namespace keelson {
namespace {

Result<int> number(bool good) {
  if (good) {
    return 7;
  }
  return fail(Kind::invalid, "not a number");
}

Result<int> twice(bool good) {
  KEELSON_TRY(int n, number(good).context("read {}", "limit"));
  return n * 2;
}

TEST(Result, PassesValuesAndErrorsUp) {
  EXPECT_EQ(*twice(true), 14);
  auto bad = twice(false);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().kind(), Kind::invalid);
  EXPECT_EQ(bad.error().message(), "read limit: not a number");
}

TEST(Result, ContextIsOutermostFirst) {
  Result<> r = fail_errno(ENOENT, "open /x");
  auto wrapped = std::move(r).context("mount").context("sandbox {}", 3);
  EXPECT_EQ(wrapped.error().message(), "sandbox 3: mount: open /x: No such file or directory");
  EXPECT_EQ(wrapped.error().kind(), Kind::not_found);
  EXPECT_EQ(wrapped.error().code(), ENOENT);
}

}  // namespace
}  // namespace keelson
