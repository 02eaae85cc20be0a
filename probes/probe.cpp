// SPDX-License-Identifier: Apache-2.0
// HTTP is in http_get.cpp, gRPC in grpc_probe.cpp; TCP by Asio, commands by the caller.
#include "probes/probe.h"

#include <fmt/format.h>

#include "probes/grpc_probe.h"
#include "probes/http_get.h"

namespace keelson::probes {

namespace {

constexpr size_t kMaxOutput = 10 * 1024;
constexpr const char* kUserAgent = "kube-probe/1.34";

Task<TryResult> try_http(Loop* loop, Target target) {
  auto answer = co_await http_get(*loop, std::move(target), kUserAgent);
  if (!answer) {
    co_return TryResult{Outcome::failure, answer.error().what()};
  }
  if (answer->status >= 300 && answer->status < 400) {
    co_return TryResult{Outcome::success, "", "Probe terminated redirects, Response body: " + answer->body};
  }
  if (answer->status >= 200 && answer->status < 300) {
    co_return TryResult{Outcome::success, ""};
  }
  co_return TryResult{Outcome::failure, fmt::format("HTTP probe failed with statuscode: {}", answer->status)};
}

Task<TryResult> try_tcp(Loop* loop, Target target) {
  asio::ip::tcp::socket socket(loop->io());
  if (auto error = co_await connect(&socket, target.host, target.port); error) {
    co_return TryResult{Outcome::failure, dial_text(target, error)};
  }
  co_return TryResult{Outcome::success, ""};
}

Task<TryResult> try_command(Target target, Duration limit, RunCommand run_command) {
  auto outcome = co_await run_command(target.command, limit);
  if (!outcome && outcome.error().kind() == Kind::timeout) {
    co_return TryResult{Outcome::failure, fmt::format("command timed out: \"{}\" timed out after {}s",
                                                      fmt::join(target.command, " "), limit / std::chrono::seconds(1))};
  }
  if (!outcome) {
    co_return TryResult{Outcome::error, outcome.error().message()};
  }
  outcome->output.resize(std::min(outcome->output.size(), kMaxOutput));
  co_return TryResult{outcome->exit_code == 0 ? Outcome::success : Outcome::failure, outcome->output};
}

Task<TryResult> try_target(Loop* loop, Target target, Duration limit, RunCommand run_command) {
  switch (target.handler) {
    case Handler::http:
    case Handler::https:
      return try_http(loop, std::move(target));
    case Handler::tcp:
      return try_tcp(loop, std::move(target));
    case Handler::grpc:
      return try_grpc(loop, std::move(target), limit);
    case Handler::exec:
      return try_command(std::move(target), limit, std::move(run_command));
  }
  return try_tcp(loop, std::move(target));
}

}  // namespace

asio::awaitable<TryResult> try_once(Loop& loop, Target target, Duration limit, RunCommand run_command) {
  if (!target.error.empty()) {
    co_return TryResult{Outcome::error, target.error};
  }
  // A command has its own clock, in the runtime; ours is for a runtime that hangs.
  auto deadline = target.handler == Handler::exec ? limit + std::chrono::seconds(2) : limit;
  auto url = url_of(target);
  auto handler = target.handler;
  auto result =
      co_await with_deadline(loop, deadline, try_target(&loop, std::move(target), limit, std::move(run_command)));
  if (result) {
    co_return *std::move(result);
  }
  if (result.error().kind() != Kind::timeout) {
    co_return TryResult{Outcome::error, result.error().message()};
  }
  switch (handler) {
    case Handler::http:
    case Handler::https:
      co_return TryResult{
          Outcome::failure,
          fmt::format("Get \"{}\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)", url)};
    case Handler::tcp:
      co_return TryResult{Outcome::failure, fmt::format("dial tcp {}: i/o timeout", url.substr(7, url.rfind('/') - 7))};
    case Handler::grpc:
      co_return TryResult{Outcome::failure, fmt::format("timeout: health rpc did not complete within {}s",
                                                        limit / std::chrono::seconds(1))};
    case Handler::exec:
      break;
  }
  co_return TryResult{Outcome::failure, "command timed out"};
}

}  // namespace keelson::probes
