// SPDX-License-Identifier: Apache-2.0
#include "kube/review.h"

#include <gtest/gtest.h>

namespace keelson::kube {
namespace {

TEST(Review, AsksByItsSpecAlone) {
  EXPECT_EQ(encode_json(TokenReview{.token = "t", .authenticated = true, .user = {.username = "x"}}),
            R"({"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"t"}})");
  const SubjectAccessReview review{
      .user = {.username = "ann", .uid = "1", .groups = {"a", "b"}, .extra = {{"k", {"v"}}}},
      .attributes = {.verb = "get", .version = "v1", .resource = "nodes", .subresource = "proxy", .name = "n1"},
      .allowed = true};
  EXPECT_EQ(encode_json(review),
            R"({"apiVersion":"authorization.k8s.io/v1","kind":"SubjectAccessReview","spec":{"extra":{"k":["v"]},)"
            R"("groups":["a","b"],"resourceAttributes":{"name":"n1","resource":"nodes","subresource":"proxy",)"
            R"("verb":"get","version":"v1"},"uid":"1","user":"ann"}})");
}

TEST(Review, ReadsTheStatusAlone) {
  const auto token = decode_token_review(
      R"({"kind":"TokenReview","apiVersion":"authentication.k8s.io/v1","metadata":{},"spec":{"token":"t"},
          "status":{"authenticated":true,"user":{"username":"system:serviceaccount:m:p","uid":"u",
          "groups":["g"],"extra":{"e":["1","2"]}},"audiences":["a"]}})");
  ASSERT_TRUE(token) << token.error().message();
  EXPECT_EQ(*token, (TokenReview{.authenticated = true,
                                 .user = {.username = "system:serviceaccount:m:p",
                                          .uid = "u",
                                          .groups = {"g"},
                                          .extra = {{"e", {"1", "2"}}}}}));
  const auto access = decode_access_review(
      R"({"kind":"SubjectAccessReview","spec":{"user":"ann"},"status":{"allowed":true,"reason":"RBAC"}})");
  ASSERT_TRUE(access);
  EXPECT_EQ(*access, (SubjectAccessReview{.allowed = true, .reason = "RBAC"}));
}

TEST(Review, SomethingElseIsNoReview) {
  for (const char* text : {"", "<html>canary</html>", "[]", R"({"kind":"Status","code":500})",
                           R"({"kind":"TokenReview","status":{"authenticated":"canary"}})"}) {
    const auto review = decode_token_review(text);
    ASSERT_FALSE(review) << text;
    EXPECT_EQ(review.error().kind(), Kind::invalid);
    EXPECT_EQ(review.error().message().find("canary"), std::string::npos) << review.error().message();
  }
  EXPECT_FALSE(decode_access_review(R"({"kind":"TokenReview","status":{"authenticated":true}})"));
  EXPECT_FALSE(decode_access_review(R"({"kind":"SubjectAccessReview"})")->allowed);
}

}  // namespace
}  // namespace keelson::kube
