// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/event_sender.h"

#include <fmt/format.h>

#include <algorithm>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "common/log.h"
#include "kube/codec.h"

namespace keelson::agent {

namespace {

constexpr size_t kRemembered = 4096;
constexpr std::chrono::seconds kAwayWait{2};
constexpr std::chrono::milliseconds kOthersFirst{50};
constexpr std::chrono::seconds kLongestWait{3};

std::string patch_of(const kube::Event& event) {
  return boost::json::serialize(
      boost::json::object{{"count", event.count},
                          {"message", event.message},
                          {"lastTimestamp", format_rfc3339(event.last_timestamp.value_or(WallTime()))}});
}

}  // namespace

EventSender::EventSender(Loop& loop, ApiCall call, uint64_t seed, EventLimits limits,
                         std::function<bool()> others_first)
    : loop_(loop),
      call_(std::move(call)),
      limits_(limits),
      others_first_(std::move(others_first)),
      random_(seed),
      aggregator_(loop.clock()),
      requests_(limits.requests),
      tasks_(loop) {}

bool EventSender::is_spam(const kube::Event& event) {
  const auto& about = event.involved_object;
  const SteadyTime now = loop_.clock().steady();
  if (objects_.size() > kRemembered) {
    std::erase_if(objects_, [&](const auto& entry) { return entry.second.full(now); });
    if (objects_.size() > kRemembered) {
      objects_.erase(objects_.begin());  // all have told of something lately
    }
  }
  const auto object = fmt::format("{}/{}/{}/{}", about.kind, about.ns, about.name, about.uid);
  return !objects_.try_emplace(object, limits_.about_one_object).first->second.take(now);
}

void EventSender::send(const kube::Event& told) {
  const auto event = aggregator_.combine(told);
  const auto& name = event.metadata.name;
  if (auto waits = events_.find(name); waits != events_.end()) {
    waits->second = event;
    return;
  }
  if (is_spam(event)) {
    return;
  }
  events_.emplace(name, event);
  queue_.push_back(name);
  if (queue_.size() > limits_.queue) {
    events_.erase(queue_.front());
    queue_.pop_front();
  }
  if (!std::exchange(working_, true)) {
    tasks_.spawn("events", work());
  }
}

Task<> EventSender::let_others_first() {
  const SteadyTime end = loop_.clock().steady() + kLongestWait;
  while (others_first_() && loop_.clock().steady() < end) {
    KEELSON_CO_DO(co_await loop_.sleep(kOthersFirst));
  }
  co_return Result<>();
}

Task<> EventSender::work() {
  KEELSON_CO_DO(co_await let_others_first());
  while (!queue_.empty()) {
    if (!requests_.take(loop_.clock().steady())) {
      KEELSON_CO_DO(co_await loop_.sleep(
          std::chrono::duration_cast<Duration>(std::chrono::duration<double>(1.0 / limits_.requests.per_second))));
      continue;
    }
    const auto name = queue_.front();
    queue_.pop_front();
    auto taken = events_.extract(name);
    KEELSON_CO_TRY(const bool answered, co_await deliver(taken.mapped()));
    if (answered) {
      continue;
    }
    // What came meanwhile under the same name knows more.
    if (events_.try_emplace(name, std::move(taken.mapped())).second) {
      queue_.push_front(name);
    }
    const Duration jitter(std::uniform_int_distribution<Duration::rep>(0, Duration(kAwayWait).count())(random_));
    KEELSON_CO_DO(co_await loop_.sleep(kAwayWait + jitter));
  }
  working_ = false;
  co_return Result<>();
}

/// Whether anybody answered. What is refused is dropped; only being cancelled is an error.
Task<bool> EventSender::deliver(kube::Event event) {
  const auto name = event.metadata.name;
  bool patch = posted_.contains(name);
  Result<std::string> answer;
  for (int tries = 0; tries < 2; ++tries) {
    auto request = patch ? kube::patch_request(object_path(event.metadata.ns, "events", name), kube::PatchType::merge,
                                               patch_of(event))
                         : kube::Request{.method = "POST",
                                         .path = object_path(event.metadata.ns, "events"),
                                         .body = kube::encode_json(event)};
    answer = co_await call_(std::move(request), kApiDeadline);
    const bool wrong_verb = !answer && answer.error().kind() == (patch ? Kind::not_found : Kind::exists);
    if (!wrong_verb) {
      break;
    }
    patch = !patch;  // it has expired; or an earlier request arrived whose answer did not
  }
  if (answer && posted_.insert(name).second) {
    posted_order_.push_back(name);
    if (posted_order_.size() > kRemembered) {
      posted_.erase(posted_order_.front());
      posted_order_.pop_front();
    }
  }
  if (!answer && answer.error().kind() == Kind::cancelled) {
    co_return std::unexpected(std::move(answer).error());
  }
  if (!answer) {
    log::debug("event {} about {}: {}", event.reason, event.involved_object.name, answer.error().message());
  }
  co_return answer || !is_away(answer.error());
}

}  // namespace keelson::agent
