// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/pod_range.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/log.h"

namespace keelson::agent {

namespace {

constexpr Duration kLimit = std::chrono::seconds(30);
constexpr Duration kPause = std::chrono::seconds(10);

}  // namespace

PodRange::PodRange(Loop& loop, cri::RuntimeClient& runtime)
    : loop_(loop), runtime_(runtime), news_(loop.io(), asio::steady_timer::time_point::max()) {}

void PodRange::set(const std::vector<std::string>& cidrs) {
  wanted_ = fmt::format("{}", fmt::join(cidrs, ","));
  news_.cancel();
}

Task<> PodRange::run() {
  std::string failing;
  while (true) {
    if (wanted_.empty() || wanted_ == told_) {
      auto [ended] = co_await news_.async_wait(use_result);
      if ((co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none) {
        co_return fail_asio(ended, "wait for a range of pods");
      }
      continue;
    }
    const auto range = wanted_;
    auto taken = co_await runtime_.update_runtime_config(range, kLimit);
    if (taken) {
      log::info("the runtime has the range of pods {}{}", range, told_.empty() ? "" : ", before it " + told_);
      told_ = range;
      failing.clear();
      continue;
    }
    if (taken.error().kind() == Kind::cancelled) {
      co_return taken;
    }
    if (std::exchange(failing, taken.error().message()) != failing) {
      log::warning("tell the runtime the range of pods {}: {}; trying again", range, failing);
    }
    KEELSON_CO_DO(co_await loop_.sleep(kPause));
  }
}

}  // namespace keelson::agent
