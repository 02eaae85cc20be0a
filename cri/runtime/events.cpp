// SPDX-License-Identifier: Apache-2.0
// events.h.
#include "cri/runtime/events.h"

namespace keelson::cri {

namespace {
constexpr size_t kMostWaiting = 1000;
}

std::optional<Events::Event> Events::Subscription::next() {
  std::unique_lock lock(mutex_);
  ready_.wait(lock, [this] { return closed_ || !queue_.empty(); });
  if (queue_.empty() || cut_off_) {
    return std::nullopt;
  }
  auto event = std::move(queue_.front());
  queue_.pop_front();
  return event;
}

bool Events::Subscription::cut_off() const {
  const std::scoped_lock lock(mutex_);
  return cut_off_;
}

void Events::Subscription::cancel() {
  const std::scoped_lock lock(mutex_);
  closed_ = true;
  ready_.notify_all();
}

void Events::Subscription::push(const Event& event) {
  const std::scoped_lock lock(mutex_);
  if (queue_.size() >= kMostWaiting) {
    cut_off_ = true;
    closed_ = true;
  } else {
    queue_.push_back(event);
  }
  ready_.notify_all();
}

std::shared_ptr<Events::Subscription> Events::subscribe() {
  auto subscription = std::make_shared<Subscription>();
  const std::scoped_lock lock(mutex_);
  if (closed_) {
    subscription->cancel();
  }
  subscriptions_.push_back(subscription);
  return subscription;
}

void Events::publish(const Event& event) {
  const std::scoped_lock lock(mutex_);
  subscriptions_.remove_if([&](const auto& weak) {
    const auto subscription = weak.lock();
    if (subscription) {
      subscription->push(event);
    }
    return !subscription;
  });
}

bool Events::heard() const {
  const std::scoped_lock lock(mutex_);
  return !subscriptions_.empty();
}

void Events::close() {
  const std::scoped_lock lock(mutex_);
  closed_ = true;
  for (const auto& weak : subscriptions_) {
    if (const auto subscription = weak.lock()) {
      subscription->cancel();
    }
  }
}

}  // namespace keelson::cri
