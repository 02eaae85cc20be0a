// SPDX-License-Identifier: Apache-2.0
// A reviewer that knows what a test tells it, and fails when it is told to.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/kubelet_api/reviewer.h"
#include "common/task_group.h"

namespace keelson::agent {

class FakeReviewer : public Reviewer {
 public:
  std::map<std::string, kube::UserInfo> tokens;
  std::set<std::string> rights;  ///< "user verb subresource"
  std::optional<Error> away;     ///< Nobody answers.
  int asked = 0;
  std::vector<kube::SubjectAccessReview> questions;

  Task<kube::TokenReview> review(kube::TokenReview question) override {
    ++asked;
    if (away) {
      co_return std::unexpected(*away);
    }
    kube::TokenReview answer;
    if (const auto known = tokens.find(question.token); known != tokens.end()) {
      answer.authenticated = true;
      answer.user = known->second;
    }
    co_return answer;
  }
  Task<kube::SubjectAccessReview> review(kube::SubjectAccessReview question) override {
    ++asked;
    questions.push_back(question);
    if (away) {
      co_return std::unexpected(*away);
    }
    question.allowed = rights.contains(question.user.username + " " + question.attributes.verb + " " +
                                       question.attributes.subresource);
    co_return question;
  }
};

/// Runs a task on a loop that stands still otherwise; it must end by itself.
template <class T>
Result<T> run_now(Loop& loop, Task<T> task) {
  Result<T> outcome = fail(Kind::internal, "it did not end");
  TaskGroup group(loop);
  group.spawn("run", [](Task<T> inner, Result<T>* into) -> Task<> {
    *into = co_await std::move(inner);
    co_return Result<>();
  }(std::move(task), &outcome));
  loop.run_until_idle();
  return outcome;
}

}  // namespace keelson::agent
