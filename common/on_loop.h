// SPDX-License-Identifier: Apache-2.0
// A question to another loop: what belongs to one thread, asked from another.
#pragma once

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "common/loop.h"

namespace keelson {

/// Runs `function`, which must not block, on `other`'s thread, and resumes on the waiting coroutine's loop with its
/// Result. When the waiter is cancelled it resumes at once with Kind::cancelled; the function runs later, or never, and
/// its result is dropped: so it must own, or share, all that it touches but what belongs to `other`. A loop that is
/// stuck does not answer: ask under a deadline. The waiter's loop must outlive the last run of `other`.
template <class F>
asio::awaitable<std::invoke_result_t<F>> on_loop(Loop& other, F function) {
  using R = std::invoke_result_t<F>;
  auto executor = co_await asio::this_coro::executor;
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(R)>(
      [&other, executor](auto handler, F asked) {
        using Handler = decltype(handler);
        auto slot = asio::get_associated_cancellation_slot(handler);
        // Taken by whoever finishes first, on the waiter's thread.
        auto waiting = std::make_shared<std::optional<Handler>>(std::move(handler));
        auto finish = [waiting](R result) {
          if (*waiting) {
            auto taken = std::move(**waiting);
            waiting->reset();
            std::move(taken)(std::move(result));
          }
        };
        if (slot.is_connected()) {
          slot.assign([finish, executor](asio::cancellation_type) {
            asio::post(executor, [finish] { finish(std::unexpected(Error(Kind::cancelled, "cancelled"))); });
          });
        }
        other.post([executor, finish, asked = std::move(asked)]() mutable {
          auto result = std::make_shared<R>(asked());
          asio::post(executor, [finish, result] { finish(std::move(*result)); });
        });
      },
      asio::use_awaitable, std::move(function));
}

}  // namespace keelson
