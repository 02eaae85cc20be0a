// SPDX-License-Identifier: Apache-2.0
// One at a time for each key: coroutines that must not work on the same volume together.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "common/loop.h"

namespace keelson::storage {

/// Belongs to one loop.
class KeyedTurns {
  struct Gate {
    explicit Gate(Loop& loop) : freed(loop.io(), asio::steady_timer::time_point::max()) {}
    bool taken = false;
    asio::steady_timer freed;  // cancelled whenever the gate is
  };

 public:
  explicit KeyedTurns(Loop& loop) : loop_(loop) {}

  /// Held until it goes.
  class Turn {
   public:
    explicit Turn(std::shared_ptr<Gate> gate) : gate_(std::move(gate)) { gate_->taken = true; }
    Turn(Turn&& other) noexcept = default;
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (gate_) {
        gate_->taken = false;
        gate_->freed.cancel();
      }
    }

   private:
    std::shared_ptr<Gate> gate_;
  };

  /// Waits until nobody has the key's turn; who waits goes in no order. Kind::cancelled if the waiter was.
  Task<Turn> take(std::string key) {
    std::erase_if(gates_, [](const auto& entry) { return entry.second.expired(); });
    auto gate = gates_[key].lock();
    if (!gate) {
      gate = std::make_shared<Gate>(loop_);
      gates_[key] = gate;
    }
    while (gate->taken) {
      co_await gate->freed.async_wait(use_result);
      if ((co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none) {
        co_return fail(Kind::cancelled, "cancelled");
      }
    }
    co_return Turn(std::move(gate));
  }

 private:
  Loop& loop_;
  std::map<std::string, std::weak_ptr<Gate>> gates_;
};

}  // namespace keelson::storage
