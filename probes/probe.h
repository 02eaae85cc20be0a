// SPDX-License-Identifier: Apache-2.0
// One try of one probe (kubelet pkg/probe). Texts are the kubelet's, for users read and grep them.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "common/loop.h"

namespace keelson::probes {

enum class Handler { http, https, tcp, grpc, exec };

/// What a try does. Addresses are IP addresses: no name is looked up.
struct Target {
  Handler handler = Handler::http;
  std::string host;
  uint16_t port = 0;
  std::string path = "/";                                    ///< http
  std::vector<std::pair<std::string, std::string>> headers;  ///< http; an empty Accept takes ours away
  std::string service;                                       ///< grpc
  std::vector<std::string> command;                          ///< exec
  std::string error;  ///< why there is nothing to try: each try is an error with this text
};

enum class Outcome {
  success,
  failure,
  error,  ///< the try itself went wrong (the runtime is away): says nothing about the container
};

struct TryResult {
  Outcome outcome = Outcome::error;
  std::string text = {};     ///< of a failure or error: "HTTP probe failed with statuscode: 500"
  std::string warning = {};  ///< of a success: "Probe terminated redirects, Response body: ..."
};

/// Runs a command where the container is: its exit code and output, Kind::timeout after `limit`.
struct CommandOutcome {
  int exit_code = 0;
  std::string output;
};
using RunCommand = std::function<Task<CommandOutcome>(std::vector<std::string> command, Duration limit)>;

/// One try, within `limit` as a whole. HTTP: GET, 200 to 399 is success; redirects are followed on the same host (10 at
/// most), to another host they are success with a warning; TLS is not verified; a new connection each time; 10 KiB of
/// the body at most. TCP: a connection opens. gRPC: grpc.health.v1 Check answers SERVING. exec: exit code 0. Never
/// fails otherwise than by its result.
asio::awaitable<TryResult> try_once(Loop& loop, Target target, Duration limit, RunCommand run_command);

}  // namespace keelson::probes
