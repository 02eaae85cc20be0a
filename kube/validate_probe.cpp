// SPDX-License-Identifier: Apache-2.0
// Rules of probes and lifecycle hooks.
#include <fmt/format.h>

#include <algorithm>

#include "kube/validate.h"

namespace keelson::kube {

namespace {

void check_exec(Checks& checks, const ExecAction& exec, const Path& path) {
  if (exec.command.empty()) {
    checks.required(path / "command");
  }
}

void check_http(Checks& checks, const HttpGetAction& http, const Path& path) {
  checks.port(path / "port", http.port);
  const auto in_name = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  };
  for (const HttpHeader& header : http.http_headers) {
    if (header.name.empty() || !std::ranges::all_of(header.name, in_name)) {
      checks.invalid(
          path / "httpHeaders", header.name,
          "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used "
          "for validation is '[-A-Za-z0-9]+')");
    }
  }
}

/// What a probe and a hook have in common: one handler of several.
class Handler {
 public:
  Handler(Checks& checks, const Path& path) : checks_(checks), path_(path) {}
  ~Handler() {
    if (count_ == 0) {
      checks_.required(path_, "must specify a handler type");
    }
  }
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;

  template <class Action, class Check>
  void action(std::string_view name, const std::optional<Action>& action, Check check) {
    if (!action) {
      return;
    }
    const Path at = path_ / name;
    if (count_++ > 0) {
      checks_.forbidden(at, "may not specify more than 1 handler type");
    } else {
      check(*action, at);
    }
  }
  template <class Source>
  void common(const Source& source) {
    action("exec", source.exec, [&](const ExecAction& exec, const Path& at) { check_exec(checks_, exec, at); });
    action("httpGet", source.http_get,
           [&](const HttpGetAction& http, const Path& at) { check_http(checks_, http, at); });
    action("tcpSocket", source.tcp_socket,
           [&](const TcpSocketAction& tcp, const Path& at) { checks_.port(at / "port", tcp.port); });
  }

 private:
  Checks& checks_;
  const Path& path_;
  int count_ = 0;
};

void check_probe(Checks& checks, const Probe& probe, const Path& path) {
  {
    Handler handler(checks, path);
    handler.common(probe);
    handler.action("grpc", probe.grpc,
                   [&](const GrpcAction& grpc, const Path& at) { checks.port_number(at / "port", grpc.port); });
  }
  checks.non_negative(path / "initialDelaySeconds", probe.initial_delay_seconds);
  checks.non_negative(path / "timeoutSeconds", probe.timeout_seconds);
  checks.non_negative(path / "periodSeconds", probe.period_seconds);
  checks.non_negative(path / "successThreshold", probe.success_threshold);
  checks.non_negative(path / "failureThreshold", probe.failure_threshold);
  if (probe.termination_grace_period_seconds.value_or(1) <= 0) {
    checks.invalid(path / "terminationGracePeriodSeconds", *probe.termination_grace_period_seconds,
                   "must be greater than 0");
  }
}

void check_hook(Checks& checks, const std::optional<LifecycleHandler>& hook, int64_t grace_seconds, const Path& path) {
  if (!hook) {
    return;
  }
  Handler handler(checks, path);
  handler.common(*hook);
  handler.action("sleep", hook->sleep, [&](const SleepAction& sleep, const Path& at) {
    if (sleep.seconds < 0 || sleep.seconds > grace_seconds) {
      checks.invalid(
          at, sleep.seconds,
          fmt::format("must be non-negative and less than terminationGracePeriodSeconds ({})", grace_seconds));
    }
  });
}

/// Liveness and startup succeed at once; readiness has no say in how its container ends.
void check_one(Checks& checks, const std::optional<Probe>& probe, bool readiness, const Path& path) {
  if (!probe) {
    return;
  }
  check_probe(checks, *probe, path);
  if (!readiness && probe->success_threshold != 1) {
    checks.invalid(path / "successThreshold", probe->success_threshold, "must be 1");
  }
  if (readiness && probe->termination_grace_period_seconds) {
    checks.invalid(path / "terminationGracePeriodSeconds", *probe->termination_grace_period_seconds,
                   "must not be set for readinessProbes");
  }
}

}  // namespace

void check_probes(Checks& checks, const Container& container, int64_t grace_seconds, const Path& path) {
  check_one(checks, container.liveness_probe, false, path / "livenessProbe");
  check_one(checks, container.readiness_probe, true, path / "readinessProbe");
  check_one(checks, container.startup_probe, false, path / "startupProbe");
  if (container.lifecycle) {
    const Path at = path / "lifecycle";
    check_hook(checks, container.lifecycle->post_start, grace_seconds, at / "postStart");
    check_hook(checks, container.lifecycle->pre_stop, grace_seconds, at / "preStop");
  }
}

}  // namespace keelson::kube
