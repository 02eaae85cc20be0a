// SPDX-License-Identifier: Apache-2.0
#include "agent/network_look.h"

namespace keelson::agent {

namespace {

constexpr std::chrono::seconds kReadyFor{5};
// Who looks again each second sees a new answer each time.
constexpr std::chrono::milliseconds kNotReadyFor{900};

}  // namespace

/// Until the answer, or until whoever asks is cancelled.
struct NetworkLook::Asking {
  explicit Asking(NetworkLook& l) : look(l) { look.asking_ = true; }
  ~Asking() {
    look.asking_ = false;
    look.answered_.cancel();
  }
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;
  NetworkLook& look;
};

NetworkLook::NetworkLook(Loop& loop, PodRuntime& runtime)
    : loop_(loop), runtime_(runtime), answered_(loop.io(), asio::steady_timer::time_point::max()) {}

bool NetworkLook::fresh() const {
  return told_at_ && loop_.clock().steady() - *told_at_ < (told_.empty() ? Duration(kReadyFor) : kNotReadyFor);
}

Task<std::string> NetworkLook::trouble() {
  while (asking_) {
    co_await answered_.async_wait(use_result);
    if ((co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none) {
      co_return fail(Kind::cancelled, "wait for the network");
    }
  }
  if (!fresh()) {
    const Asking asking(*this);
    KEELSON_CO_TRY(told_, co_await runtime_.network_trouble());
    told_at_ = loop_.clock().steady();
  }
  co_return told_;
}

}  // namespace keelson::agent
