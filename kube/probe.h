// SPDX-License-Identifier: Apache-2.0
// Probes and lifecycle hooks of a container, as written in its spec.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kube/int_or_string.h"

namespace keelson::kube {

enum class UriScheme { http, https };  ///< "HTTP", "HTTPS".
std::string_view to_string(UriScheme scheme);

/// Runs in the container; exit code 0 is success. No shell is involved.
struct ExecAction {
  std::vector<std::string> command;
  bool operator==(const ExecAction&) const = default;
};

struct HttpHeader {
  std::string name;
  std::string value;
  bool operator==(const HttpHeader&) const = default;
};

/// GET; 200..399 is success.
struct HttpGetAction {
  std::string path = "/";
  IntOrString port;  ///< A number in 1..65535, or the name of a port of this container.
  std::string host;  ///< Empty: the pod's own address.
  UriScheme scheme = UriScheme::http;
  std::vector<HttpHeader> http_headers;
  bool operator==(const HttpGetAction&) const = default;
};

/// Success when the connection opens.
struct TcpSocketAction {
  IntOrString port;
  std::string host;  ///< Empty: the pod's own address.
  bool operator==(const TcpSocketAction&) const = default;
};

/// grpc.health.v1 Check on the pod's address; SERVING is success.
struct GrpcAction {
  int32_t port = 0;
  std::string service;  ///< Empty: the server as a whole.
  bool operator==(const GrpcAction&) const = default;
};

/// One of livenessProbe, readinessProbe, startupProbe. Valid ones have exactly one handler. Times are whole seconds.
struct Probe {
  std::optional<ExecAction> exec;
  std::optional<HttpGetAction> http_get;
  std::optional<TcpSocketAction> tcp_socket;
  std::optional<GrpcAction> grpc;
  int32_t initial_delay_seconds = 0;  ///< Counted from the container's start.
  int32_t timeout_seconds = 1;
  int32_t period_seconds = 10;
  int32_t success_threshold = 1;  ///< Consecutive; must be 1 for liveness and startup.
  int32_t failure_threshold = 3;  ///< Consecutive.
  /// Grace for a kill that this probe caused, in place of the pod's; not for readiness.
  std::optional<int64_t> termination_grace_period_seconds;
  bool operator==(const Probe&) const = default;
};

struct SleepAction {
  int64_t seconds = 0;
  bool operator==(const SleepAction&) const = default;
};

/// What postStart or preStop does. Valid ones have exactly one set. tcp_socket is accepted and does nothing (API
/// history).
struct LifecycleHandler {
  std::optional<ExecAction> exec;
  std::optional<HttpGetAction> http_get;
  std::optional<TcpSocketAction> tcp_socket;
  std::optional<SleepAction> sleep;
  bool operator==(const LifecycleHandler&) const = default;
};

struct Lifecycle {
  std::optional<LifecycleHandler> post_start;
  std::optional<LifecycleHandler> pre_stop;
  std::string stop_signal;  ///< "SIGUSR1"; empty: the image's own, else SIGTERM.
  bool operator==(const Lifecycle&) const = default;
};

}  // namespace keelson::kube
