// SPDX-License-Identifier: Apache-2.0
// Answers of an API server, kept for a while.
//
// A scraper asks each 15 s with the same token for the same right; without this, each time would be a request to the
// API server, and nobody could see a log while it is away. Answers alone are kept, never failures to get one.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "common/loop.h"

namespace keelson::agent {

/// By a key of the question. Belongs to the loop's thread, and outlives the calls of get().
template <class Answer>
class ReviewCache {
 public:
  using Ask = std::function<Task<Answer>()>;

  /// At most `most` answers are kept: those that would be forgotten first go first.
  explicit ReviewCache(Loop& loop, size_t most = 4096) : loop_(loop), most_(most) {}

  /// What is kept, or what `ask` answers; `keep_for` says how long that is kept. Of those who ask the same at once, one
  /// asks for all. Kind::exhausted: 64 other questions wait for their answers already.
  Task<Answer> get(std::string key, Ask ask, std::function<Duration(const Answer&)> keep_for) {
    while (true) {
      forget_old();
      if (const auto kept = answers_.find(key); kept != answers_.end()) {
        co_return kept->second.answer;
      }
      const auto asked = asked_.find(key);
      if (asked == asked_.end()) {
        break;
      }
      const auto question = asked->second;
      co_await question->answered.async_wait(use_result);
      // Whoever gave up asking has answered nobody.
      if (question->failure && question->failure->kind() != Kind::cancelled) {
        co_return std::unexpected(*question->failure);
      }
    }
    if (asked_.size() >= kMostAsked) {
      co_return fail(Kind::exhausted, "{} reviews wait for an answer of the API server already", kMostAsked);
    }
    Asking asking(*this, key);
    auto answer = co_await ask();
    if (answer) {
      keep(key, *answer, keep_for(*answer));
      asking.question->failure.reset();
    } else {
      asking.question->failure = answer.error();
    }
    co_return answer;
  }
  size_t size() const { return answers_.size(); }

 private:
  static constexpr size_t kMostAsked = 64;

  struct Kept {
    Answer answer;
    SteadyTime until;
  };
  struct Question {
    explicit Question(Loop& loop) : answered(loop.io(), asio::steady_timer::time_point::max()) {}
    asio::steady_timer answered;  // cancelled then
    std::optional<Error> failure = Error(Kind::cancelled, "cancelled");
  };
  /// A question under way, in whatever way it ends.
  struct Asking {
    Asking(ReviewCache& c, std::string k) : cache(c), key(std::move(k)), question(std::make_shared<Question>(c.loop_)) {
      cache.asked_.emplace(key, question);
    }
    ~Asking() {
      cache.asked_.erase(key);
      question->answered.cancel();
    }
    Asking(const Asking&) = delete;
    Asking& operator=(const Asking&) = delete;
    ReviewCache& cache;
    std::string key;
    std::shared_ptr<Question> question;
  };

  void forget_old() {
    const auto now = loop_.clock().steady();
    while (!ends_.empty() && ends_.begin()->first <= now) {
      drop_first();
    }
  }
  void drop_first() {
    answers_.erase(ends_.begin()->second);
    ends_.erase(ends_.begin());
  }
  void keep(const std::string& key, const Answer& answer, Duration time) {
    if (time <= Duration::zero()) {
      return;
    }
    if (answers_.size() >= most_) {
      drop_first();
    }
    const auto until = loop_.clock().steady() + time;
    if (answers_.insert_or_assign(key, Kept{answer, until}).second) {
      ends_.emplace(until, key);
    }
  }

  Loop& loop_;
  const size_t most_;
  std::map<std::string, Kept> answers_;
  std::set<std::pair<SteadyTime, std::string>> ends_;
  std::map<std::string, std::shared_ptr<Question>> asked_;
};

}  // namespace keelson::agent
