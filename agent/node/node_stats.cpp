// SPDX-License-Identifier: Apache-2.0
#include "agent/node/node_stats.h"

#include <time.h>

#include <cmath>
#include <limits>

namespace keelson::agent {

namespace {

double seconds(Duration time) {
  return std::chrono::duration<double>(time).count();
}

Duration uptime() {
  timespec since_boot{};
  ::clock_gettime(CLOCK_BOOTTIME, &since_boot);
  return std::chrono::seconds(since_boot.tv_sec) + std::chrono::nanoseconds(since_boot.tv_nsec);
}

}  // namespace

void CertificateStats::kept(std::optional<WallTime> good_until) {
  const std::lock_guard guard(mutex_);
  kept_ = true;
  good_until_ = good_until;
}

void CertificateStats::collect(Stats& stats, WallTime now, const std::string& ttl, const std::string& errors) const {
  const std::lock_guard guard(mutex_);
  if (!kept_) {
    return;
  }
  if (!ttl.empty()) {
    stats.gauge(ttl,
                "[ALPHA] Gauge of the TTL (time-to-live) of the Kubelet's client certificate. The value is in seconds "
                "until certificate expiry (negative if already expired). If client certificate is invalid or unused, "
                "the value will be +INF.",
                good_until_ ? std::trunc(seconds(*good_until_ - now)) : std::numeric_limits<double>::infinity());
  }
  stats.counter(errors, "[ALPHA] Counter of certificate renewal errors.", static_cast<double>(failures_));
}

void StartupStats::asked_to_register(WallTime now) {
  const std::lock_guard guard(mutex_);
  asked_ = asked_.value_or(now);
}

void StartupStats::registered(WallTime now) {
  const std::lock_guard guard(mutex_);
  if (asked_) {
    registered_ = registered_.value_or(now);
  }
}

void StartupStats::ready(WallTime now) {
  const std::lock_guard guard(mutex_);
  if (registered_) {
    ready_ = ready_.value_or(now);
  }
}

void StartupStats::collect(Stats& stats) const {
  const std::lock_guard guard(mutex_);
  if (!registered_) {
    return;
  }
  stats.gauge("kubelet_node_startup_pre_kubelet_duration_seconds",
              "[ALPHA] Duration in seconds of node startup before kubelet starts.", seconds(started_ - booted_));
  stats.gauge("kubelet_node_startup_pre_registration_duration_seconds",
              "[ALPHA] Duration in seconds of node startup before registration.", seconds(*asked_ - started_));
  stats.gauge("kubelet_node_startup_registration_duration_seconds",
              "[ALPHA] Duration in seconds of node startup during registration.", seconds(*registered_ - *asked_));
  if (ready_) {
    stats.gauge("kubelet_node_startup_post_registration_duration_seconds",
                "[ALPHA] Duration in seconds of node startup after registration.", seconds(*ready_ - *registered_));
    stats.gauge("kubelet_node_startup_duration_seconds", "[ALPHA] Duration in seconds of node startup in total.",
                seconds(*ready_ - booted_));
  }
}

NodeStats::NodeStats(const Clock& clock) : clock_(clock), startup_(clock.wall() - uptime(), clock.wall()) {}

void NodeStats::collect(Stats& stats) const {
  requests_->collect(stats);
  runtime_calls_->collect(stats);
  const WallTime now = clock_.wall();
  client_certificate_.collect(stats, now, "kubelet_certificate_manager_client_ttl_seconds",
                              "kubelet_certificate_manager_client_expiration_renew_errors");
  serving_certificate_.collect(stats, now, "", "kubelet_server_expiration_renew_errors");
  startup_.collect(stats);
}

}  // namespace keelson::agent
