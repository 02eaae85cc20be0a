// SPDX-License-Identifier: Apache-2.0
// The loop and its sleepers.
#include "common/loop.h"

#include <pthread.h>

#include <boost/asio/impl/src.hpp>

namespace keelson {

struct Loop::Sleeper {
  explicit Sleeper(asio::io_context& io) : timer(io) {}
  asio::steady_timer timer;
  bool due = false;
};

Loop::Loop(const Clock& clock, std::string name)
    : clock_(clock), real_(&clock == &real_clock()), name_(std::move(name)) {}

void Loop::run() {
  ::pthread_setname_np(::pthread_self(), name_.substr(0, 15).c_str());
  auto work = asio::make_work_guard(io_);
  io_.run();
}

void Loop::stop() {
  io_.stop();
}

void Loop::run_until_idle() {
  io_.restart();
  io_.poll();
}

void Loop::advance(FakeClock& clock, Duration by) {
  run_until_idle();
  auto end = clock.steady() + by;
  while (!sleepers_.empty() && sleepers_.begin()->first <= end) {
    auto [when, sleeper] = *sleepers_.begin();
    sleepers_.erase(sleepers_.begin());
    if (when > clock.steady()) {
      clock.advance(when - clock.steady());
    }
    sleeper->due = true;
    sleeper->timer.cancel();
    run_until_idle();
  }
  clock.advance(end - clock.steady());
}

void Loop::post(std::move_only_function<void()> work) {
  asio::post(io_, std::move(work));
}

Task<> Loop::sleep(Duration duration) {
  if (real_) {
    asio::steady_timer timer(io_, std::chrono::duration_cast<asio::steady_timer::duration>(duration));
    auto [error] = co_await timer.async_wait(use_result);
    if (error) {
      co_return fail(Kind::cancelled, "cancelled");
    }
    co_return Result<>();
  }
  auto sleeper = std::make_shared<Sleeper>(io_);
  sleeper->timer.expires_at(asio::steady_timer::time_point::max());
  auto entry = sleepers_.emplace(clock_.steady() + duration, sleeper);
  co_await sleeper->timer.async_wait(use_result);
  if (!sleeper->due) {
    sleepers_.erase(entry);
    co_return fail(Kind::cancelled, "cancelled");
  }
  co_return Result<>();
}

std::unexpected<Error> fail_asio(const boost::system::error_code& error, std::string_view what) {
  if (error == asio::error::operation_aborted) {
    return fail(Kind::cancelled, "{}: cancelled", what);
  }
  if (error.category() == boost::system::system_category()) {
    return fail_errno(error.value(), "{}", what);
  }
  return fail(Kind::unavailable, "{}: {}", what, error.message());
}

}  // namespace keelson
