// SPDX-License-Identifier: Apache-2.0
// One event loop a role, coroutines on it, and deadlines.
//
// A role (agent, runtime, network, heartbeat) owns one Loop, run by one thread; its state belongs to that thread, so it
// needs no mutex. Loops talk by post(). Asynchronous work is a Task<T>: a coroutine that ends in a Result<T>.
//
// Rules: coroutine parameters by value; no capturing coroutine lambdas; Asio calls end in `use_result` below, so that
// I/O never throws; everything spawned is owned by a TaskGroup (task_group.h).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/clock.h"
#include "common/result.h"

namespace keelson {

namespace asio = boost::asio;

/// A coroutine that ends in a Result<T>.
template <class T = void>
using Task = asio::awaitable<Result<T>>;

/// The completion token for Asio calls: `auto [error, n] = co_await stream.async_read_some(buf, use_result);`
inline constexpr auto use_result = asio::as_tuple(asio::use_awaitable);

/// One thread's event loop. Made, run and destroyed by its owner; only post() and stop() may be called from elsewhere.
class Loop {
 public:
  /// `name` becomes the name of the thread that calls run() ("kl-agent"; at most 15 characters).
  Loop(const Clock& clock, std::string name);
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  asio::io_context& io() { return io_; }
  const Clock& clock() const { return clock_; }

  /// Runs until stop(); returns then. Work that is left stays queued.
  void run();
  /// Thread-safe.
  void stop();
  /// Runs what is ready now, and returns: for tests and simulation. Never waits.
  void run_until_idle();
  /// For a FakeClock: moves `clock` (which must be this loop's) by `by`, firing timers in order at their own times, and
  /// running what becomes ready in between.
  void advance(FakeClock& clock, Duration by);

  /// Queues `work` for the loop's thread. Thread-safe.
  void post(std::move_only_function<void()> work);

  /// Waits by the loop's clock. Kind::cancelled if the waiting coroutine was cancelled.
  Task<> sleep(Duration duration);

 private:
  struct Sleeper;
  const Clock& clock_;
  const bool real_;
  const std::string name_;
  asio::io_context io_{1};
  std::multimap<SteadyTime, std::shared_ptr<Sleeper>> sleepers_;  // used with a clock other than the real one
};

/// Runs `function` (which may block: mount, stat of a network file system, unpack) on `pool` and resumes on the loop.
/// When the waiting coroutine is cancelled it resumes at once with Kind::cancelled; the function runs on to its end
/// alone, and its result is dropped. So `function` must own, or share, all that it touches.
template <class F>
asio::awaitable<std::invoke_result_t<F>> blocking(asio::thread_pool& pool, F function) {
  using R = std::invoke_result_t<F>;
  auto executor = co_await asio::this_coro::executor;
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(R)>(
      [&pool, executor, function = std::move(function)](auto handler) mutable {
        using Handler = decltype(handler);
        struct State {
          explicit State(Handler h) : handler(std::move(h)) {}
          std::optional<Handler> handler;  // taken by whoever finishes first, on the loop's thread
        };
        auto slot = asio::get_associated_cancellation_slot(handler);
        auto state = std::make_shared<State>(std::move(handler));
        auto finish = [state](R result) {
          if (state->handler) {
            auto taken = std::move(*state->handler);
            state->handler.reset();
            std::move(taken)(std::move(result));
          }
        };
        if (slot.is_connected()) {
          slot.assign([finish, executor](asio::cancellation_type) {
            asio::post(executor, [finish] { finish(std::unexpected(Error(Kind::cancelled, "cancelled"))); });
          });
        }
        asio::post(pool, [executor, finish, function = std::move(function)]() mutable {
          auto result = std::make_shared<R>(function());
          asio::post(executor, [finish, result] { finish(std::move(*result)); });
        });
      },
      asio::use_awaitable);
}

/// The task's result, or Kind::timeout when `limit` has passed first; the task is then cancelled and awaited, so it
/// must not ignore cancellation (blocking() and every Asio call obey). Kind::cancelled: who waits for it was.
template <class T>
Task<T> with_deadline(Loop& loop, Duration limit, asio::awaitable<Result<T>> task) {
  using namespace asio::experimental::awaitable_operators;
  auto outcome = co_await (std::move(task) || loop.sleep(limit));
  if (outcome.index() == 1) {
    if (const auto& slept = std::get<1>(outcome); !slept) {
      co_return std::unexpected(slept.error());  // who waits for this is cancelled: no time has passed
    }
    co_return fail(Kind::timeout, "no answer within {} ms", limit / std::chrono::milliseconds(1));
  }
  co_return std::get<0>(std::move(outcome));
}

/// What an Asio error code means to us.
std::unexpected<Error> fail_asio(const boost::system::error_code& error, std::string_view what);

}  // namespace keelson
