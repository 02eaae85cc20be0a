// SPDX-License-Identifier: Apache-2.0
// Hooks: a command, a GET, or a pause.
#include "agent/hooks.h"

#include <fmt/format.h>

#include <algorithm>

#include <boost/algorithm/string/predicate.hpp>

#include "agent/probe_target.h"
#include "probes/http_get.h"

namespace keelson::agent {

namespace {

constexpr const char* kUserAgent = "kube-lifecycle/1.34";

Task<> http_hook(Loop& loop, HookCall call) {
  auto target = http_target(call.container, *call.handler.http_get, call.pod_ip);
  if (!target.error.empty()) {
    co_return fail(Kind::invalid, "httpGet.port: {}", target.error);
  }
  auto answer = co_await probes::http_get(loop, target, kUserAgent);
  if (!answer && answer.error().kind() == Kind::unsupported) {
    target.handler = probes::Handler::http;
    std::erase_if(target.headers, [](const auto& header) { return boost::iequals(header.first, "Authorization"); });
    answer = co_await probes::http_get(loop, target, kUserAgent);
    if (answer && call.fell_back) {
      const std::string url = probes::url_of(target);
      const size_t host = url.find("://") + 3;
      call.fell_back(fmt::format("request to HTTPS lifecycle hook {} got HTTP response, retry with HTTP succeeded",
                                 url.substr(host, url.find('/', host) - host)));
    }
  }
  if (!answer) {
    co_return std::unexpected(std::move(answer).error());
  }
  co_return Result<>();
}

Task<> pause_hook(Loop& loop, HookCall call) {
  const Duration pause = std::chrono::seconds(call.handler.sleep->seconds);
  auto slept = co_await loop.sleep(std::min(pause, call.limit));
  if ((!slept || pause > call.limit) && call.cut_short) {
    call.cut_short();
  }
  co_return slept;
}

Task<> exec_hook(PodRuntime& runtime, HookCall call) {
  KEELSON_CO_TRY(auto outcome, co_await runtime.exec(call.id, call.handler.exec->command, call.limit));
  if (outcome.exit_code != 0) {
    co_return fail(Kind::internal, "command '{}' exited with {}: {}", fmt::join(call.handler.exec->command, " "),
                   outcome.exit_code, outcome.output);
  }
  co_return Result<>();
}

}  // namespace

Task<> run_hook(Loop& loop, PodRuntime& runtime, HookCall call) {
  Duration limit = call.limit;
  if (call.handler.exec) {
    co_return co_await with_deadline<void>(loop, limit, exec_hook(runtime, std::move(call)));
  }
  if (call.handler.http_get) {
    co_return co_await with_deadline<void>(loop, limit, http_hook(loop, std::move(call)));
  }
  if (call.handler.sleep) {
    co_return co_await pause_hook(loop, std::move(call));
  }
  co_return Result<>();
}

}  // namespace keelson::agent
