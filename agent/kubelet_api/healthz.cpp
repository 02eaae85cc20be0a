// SPDX-License-Identifier: Apache-2.0
#include "agent/kubelet_api/healthz.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/on_loop.h"

namespace keelson::agent {

namespace {

constexpr auto kPatience = std::chrono::seconds(1);
constexpr std::string_view kChecks[] = {"ping", "log", "syncloop"};

}  // namespace

Healthz::Healthz(Loop& loop, Loop& agents_loop, Duration limit)
    : loop_(loop),
      agents_loop_(agents_loop),
      limit_(limit),
      answered_(loop.io(), asio::steady_timer::time_point::max()),
      tasks_(loop) {}

Task<> Healthz::ask_agent() {
  KEELSON_CO_DO(co_await on_loop(agents_loop_, [] { return Result<>(); }));
  asked_.reset();
  answered_.cancel();
  co_return Result<>();
}

Task<bool> Healthz::agent_lives() {
  if (!asked_) {
    asked_ = loop_.clock().steady();
    tasks_.spawn("agent's sign of life", ask_agent());
  }
  using namespace asio::experimental::awaitable_operators;
  if (asked_) {
    co_await (answered_.async_wait(use_result) || loop_.sleep(kPatience));
  }
  co_return !asked_ || loop_.clock().steady() - *asked_ < limit_;
}

Task<bool> Healthz::works(std::string check) {
  bool good = true;
  if (check == "syncloop") {
    KEELSON_CO_TRY(good, co_await agent_lives());
  }
  auto& count = counts_[check];
  ++(good ? count.good : count.bad);
  count.last = good;
  co_return good;
}

Task<http::Response> Healthz::answer(http::Request request) {
  const auto& path = request.target.path;
  const std::string wanted = path.size() > 1 ? path[1] : "";
  if (path.size() > 2 || (!wanted.empty() && std::ranges::find(kChecks, wanted) == std::end(kChecks))) {
    co_return http::text("404 page not found\n", 404);
  }
  std::string list;
  bool all = true;
  for (const auto check : kChecks) {
    if (wanted.empty() || wanted == check) {
      KEELSON_CO_TRY(const bool good, co_await works(std::string(check)));
      list += fmt::format("[{}]{} {}\n", good ? '+' : '-', check, good ? "ok" : "failed: reason withheld");
      all = all && good;
    }
  }
  if (!all) {
    co_return http::text(wanted.empty() ? list + "healthz check failed\n" : "internal server error: no sign of life\n",
                         500);
  }
  co_return http::text(request.target.query.contains("verbose") && wanted.empty() ? list + "healthz check passed\n"
                                                                                  : "ok");
}

void Healthz::collect(Stats& stats) const {
  for (const auto& [check, count] : counts_) {
    stats.gauge("kubernetes_healthcheck", "[STABLE] This metric records the result of a single healthcheck.",
                count.last ? 1 : 0, {{"name", check}, {"type", "healthz"}});
    for (const bool good : {true, false}) {
      stats.counter("kubernetes_healthchecks_total", "[STABLE] This metric records the results of all healthcheck.",
                    static_cast<double>(good ? count.good : count.bad),
                    {{"name", check}, {"status", good ? "success" : "error"}, {"type", "healthz"}});
    }
  }
}

Task<> Healthz::close() {
  co_return co_await tasks_.close();
}

}  // namespace keelson::agent
