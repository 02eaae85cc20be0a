// SPDX-License-Identifier: Apache-2.0
// Who may do what: the kubelet's attributes, answers that are kept, and an API server that is away.
#include "agent/kubelet_api/authorizer.h"

#include <gmock/gmock.h>

#include "agent/kubelet_api/fake_reviewer.h"
#include "common/log.h"

namespace keelson::agent {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

AccessQuestion asked(const std::string& method, const std::string& target) {
  return question_of({.method = method, .target = http::parse_target(target).value()});
}

TEST(AccessQuestion, AsTheKubeletAsks) {
  const struct {
    const char *method, *target, *verb;
    std::vector<std::string> subresources;
  } cases[] = {
      {"GET", "/pods", "get", {"pods", "proxy"}},
      {"GET", "/pods/", "get", {"pods", "proxy"}},
      {"GET", "/runningpods/", "get", {"pods", "proxy"}},
      {"GET", "/healthz/syncloop", "get", {"healthz", "proxy"}},
      {"GET", "/configz", "get", {"configz", "proxy"}},
      {"GET", "/stats/summary?only_cpu_and_memory=true", "get", {"stats"}},
      {"GET", "/metrics", "get", {"metrics"}},
      {"GET", "/metrics/cadvisor", "get", {"metrics"}},
      {"GET", "/logs/messages", "get", {"log"}},
      {"POST", "/checkpoint/ns/pod/c", "create", {"checkpoint"}},
      {"GET", "/containerLogs/ns/pod/c", "get", {"proxy"}},
      {"POST", "/exec/ns/pod/c?command=sh", "create", {"proxy"}},
      {"GET", "/exec/ns/pod/c", "get", {"proxy"}},
      {"POST", "/run/ns/pod/c", "create", {"proxy"}},
      {"PUT", "/debug/flags/v", "update", {"proxy"}},
      {"DELETE", "/x", "delete", {"proxy"}},
      {"PATCH", "/podsx", "patch", {"proxy"}},
      {"GET", "/", "get", {"proxy"}},
      {"OPTIONS", "/pods", "", {"pods", "proxy"}},
      // What is not a clean path gets the right of what it would be served as.
      {"GET", "//metrics//cadvisor", "get", {"metrics"}},
      {"GET", "/%70ods", "get", {"pods", "proxy"}},
      {"GET", "/metrics/../exec/ns/pod/c", "get", {"metrics"}},
  };
  for (const auto& one : cases) {
    const auto question = asked(one.method, one.target);
    EXPECT_EQ(question.verb, one.verb) << one.method << one.target;
    EXPECT_EQ(question.subresources, one.subresources) << one.method << one.target;
  }
}

class AuthorizerTest : public ::testing::Test {
 protected:
  AuthorizerTest() { log::set_level(log::Level::off); }
  /// The status; 0: it may.
  int ask(const std::string& user, const std::string& method, const std::string& target) {
    auto refused = run_now(loop_, authorizer_.refusal({.username = user}, asked(method, target)));
    EXPECT_TRUE(refused) << refused.error().message();
    text_ = refused && *refused ? (*refused)->body : "";
    return refused && *refused ? (*refused)->status : 0;
  }

  FakeReviewer reviewer_;
  FakeClock clock_;
  Loop loop_{clock_, "test"};
  Authorizer authorizer_{loop_, {.node_name = "n1"}, &reviewer_};
  std::string text_;
};

TEST_F(AuthorizerTest, TheParticularRightOrTheWholeOne) {
  reviewer_.rights = {"fine get pods", "whole get proxy"};
  EXPECT_EQ(ask("fine", "GET", "/pods"), 0);
  EXPECT_EQ(reviewer_.asked, 1);
  EXPECT_EQ(ask("whole", "GET", "/pods"), 0);
  EXPECT_EQ(reviewer_.asked, 3);
  EXPECT_EQ(ask("fine", "GET", "/containerLogs/a/b/c"), 403);
  EXPECT_EQ(text_, "Forbidden (user=fine, verb=get, resource=nodes, subresource(s)=[proxy])\n");
  EXPECT_EQ(ask("nobody", "GET", "/healthz"), 403);
  EXPECT_EQ(text_, "Forbidden (user=nobody, verb=get, resource=nodes, subresource(s)=[healthz proxy])\n");
  EXPECT_EQ(ask("fine", "GET", "/metrics"), 403) << "metrics has no other way";
  const auto& asked_last = reviewer_.questions.back().attributes;
  EXPECT_EQ(asked_last,
            (kube::ResourceAttributes{
                .verb = "get", .version = "v1", .resource = "nodes", .subresource = "metrics", .name = "n1"}));
}

TEST_F(AuthorizerTest, AnswersAreKeptForAWhile) {
  reviewer_.rights = {"ann get metrics"};
  EXPECT_EQ(ask("ann", "GET", "/metrics"), 0);
  EXPECT_EQ(ask("bob", "GET", "/metrics"), 403);
  reviewer_.rights = {"bob get metrics"};
  EXPECT_EQ(ask("ann", "GET", "/metrics/cadvisor"), 0);
  EXPECT_EQ(ask("bob", "GET", "/metrics"), 403);
  EXPECT_EQ(reviewer_.asked, 2);
  loop_.advance(clock_, 31s);
  EXPECT_EQ(ask("bob", "GET", "/metrics"), 0) << "a no is kept for 30 s";
  EXPECT_EQ(ask("ann", "GET", "/metrics"), 0);
  loop_.advance(clock_, 270s);
  EXPECT_EQ(ask("ann", "GET", "/metrics"), 403) << "a yes for 5 minutes";
}

TEST_F(AuthorizerTest, WhenNobodyAnswersNothingNewIsAllowed) {
  reviewer_.rights = {"ann get metrics", "bob get metrics"};
  EXPECT_EQ(ask("ann", "GET", "/metrics"), 0);
  reviewer_.away = Error(Kind::unavailable, "no API server");
  EXPECT_EQ(ask("ann", "GET", "/metrics"), 0);
  EXPECT_EQ(ask("bob", "GET", "/metrics"), 500);
  EXPECT_EQ(text_, "Authorization error (user=bob, verb=get, resource=nodes, subresource=metrics)");
  loop_.advance(clock_, 301s);
  EXPECT_EQ(ask("ann", "GET", "/metrics"), 500);
  reviewer_.away.reset();
  EXPECT_EQ(ask("bob", "GET", "/metrics"), 0) << "a failure is not kept";
}

TEST_F(AuthorizerTest, WithoutAReviewerNothingIs) {
  Authorizer alone(loop_, {.node_name = "n1"}, nullptr);
  auto refused = run_now(loop_, alone.refusal({.username = "ann"}, asked("GET", "/metrics")));
  EXPECT_EQ((*refused)->status, 500);
  Authorizer open(loop_, {.webhook = false, .node_name = "n1"}, nullptr);
  EXPECT_FALSE(*run_now(loop_, open.refusal({.username = "ann"}, asked("GET", "/metrics")))) << "AlwaysAllow";
}

}  // namespace
}  // namespace keelson::agent
