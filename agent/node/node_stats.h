// SPDX-License-Identifier: Apache-2.0
// What the threads of a node's agent count together, for /metrics: each has its own connections, and none of them alone
// knows how the node does.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "common/clock.h"
#include "common/stats.h"
#include "cri/client/call_stats.h"
#include "kube/client/request_stats.h"

namespace keelson::agent {

/// A certificate that is renewed. Thread-safe.
class CertificateStats {
 public:
  /// It is kept by us, and good until then; nullopt: there is none yet.
  void kept(std::optional<WallTime> good_until);
  void renewal_failed() { ++failures_; }

  /// `ttl` (empty: not told) and `errors` are the metrics' names. Nothing, unless it is kept by us.
  void collect(Stats& stats, WallTime now, const std::string& ttl, const std::string& errors) const;

 private:
  mutable std::mutex mutex_;
  bool kept_ = false;
  std::optional<WallTime> good_until_;
  std::atomic<uint64_t> failures_ = 0;
};

/// How a new node came to be (kubelet's node_startup_*). Thread-safe.
class StartupStats {
 public:
  StartupStats(WallTime booted, WallTime started) : booted_(booted), started_(started) {}

  // Each counts once, and only in this order; of a Node that was there before us nothing is told.
  void asked_to_register(WallTime now);
  void registered(WallTime now);
  void ready(WallTime now);

  void collect(Stats& stats) const;

 private:
  mutable std::mutex mutex_;
  const WallTime booted_;
  const WallTime started_;
  std::optional<WallTime> asked_;
  std::optional<WallTime> registered_;
  std::optional<WallTime> ready_;
};

/// Thread-safe.
class NodeStats {
 public:
  /// Of a process that has just begun.
  explicit NodeStats(const Clock& clock = real_clock());

  /// What clients are made with.
  const std::shared_ptr<kube::RequestStats>& requests() const { return requests_; }
  const std::shared_ptr<cri::CallStats>& runtime_calls() const { return runtime_calls_; }
  CertificateStats& client_certificate() { return client_certificate_; }
  CertificateStats& serving_certificate() { return serving_certificate_; }
  StartupStats& startup() { return startup_; }

  /// All of it: rest_client_*, kubelet_runtime_operations_*, kubelet_certificate_manager_client_ttl_seconds,
  /// kubelet_certificate_manager_client_expiration_renew_errors, kubelet_server_expiration_renew_errors,
  /// kubelet_node_startup_*.
  void collect(Stats& stats) const;

 private:
  const Clock& clock_;
  const std::shared_ptr<kube::RequestStats> requests_ = std::make_shared<kube::RequestStats>();
  const std::shared_ptr<cri::CallStats> runtime_calls_ = std::make_shared<cri::CallStats>();
  CertificateStats client_certificate_;
  CertificateStats serving_certificate_;
  StartupStats startup_;
};

}  // namespace keelson::agent
