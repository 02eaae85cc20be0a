// SPDX-License-Identifier: Apache-2.0
#include "network/proxy_metrics.h"

#include <algorithm>
#include <ranges>

namespace keelson::network {
namespace {

using dataplane::Family;
using dataplane::From;
using dataplane::Verdict;

constexpr std::array kFamilies = {"IPv4", "IPv6"};
const std::string kTriggerAnnotation = "endpoints.kubernetes.io/last-change-trigger-time";

Histogram sync_histogram() {
  return Histogram(exponential_bounds(0.001, 2, 15));
}

Histogram programming_histogram() {
  std::vector<double> bounds;
  for (const auto& part :
       {linear_bounds(0.25, 0.25, 2), linear_bounds(1, 1, 59), linear_bounds(60, 5, 12), linear_bounds(120, 30, 7)}) {
    bounds.insert(bounds.end(), part.begin(), part.end());
  }
  return Histogram(std::move(bounds));
}

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

StatLabels family_label(size_t family) {
  return {{"ip_family", kFamilies[family]}};
}

}  // namespace

ProxyMetrics::ProxyMetrics(const Clock& clock)
    : clock_(clock),
      started_(clock.wall()),
      sync_(sync_histogram()),
      full_sync_(sync_histogram()),
      partial_sync_(sync_histogram()),
      programming_{programming_histogram(), programming_histogram()} {}

void ProxyMetrics::received(const ObjectBatch& batch) {
  const auto& objects = batch.objects;
  const size_t services = objects.services.size() + objects.removed_services.size();
  const size_t slices = objects.slices.size() + objects.removed_slices.size();
  services_.total += services;
  services_.pending += services;
  slices_.total += slices;
  slices_.pending += slices;
  queued_ = clock_.wall();
  for (const auto& slice : objects.slices) {
    auto found = slice.metadata.annotations.find(kTriggerAnnotation);
    if (found == slice.metadata.annotations.end() || slice.address_type == kube::AddressType::fqdn) {
      continue;
    }
    // What changed before this process began would tell how long it was away.
    if (auto time = parse_rfc3339(found->second); time && *time > started_) {
      triggers_[slice.address_type == kube::AddressType::ipv6].push_back(*time);
    }
  }
}

void ProxyMetrics::synced(const SyncReport& report) {
  const double took = seconds(report.duration);
  sync_.observe(took);
  (report.full ? full_sync_ : partial_sync_).observe(took);
  const auto now = clock_.wall();
  for (size_t family = 0; family < triggers_.size(); family++) {
    for (auto time : triggers_[family]) {
      if (report.failed == 0) {
        programming_[family].observe(seconds(now - time));
      }
    }
    triggers_[family].clear();
  }
  services_.pending = slices_.pending = 0;
  if (report.failed == 0) {
    synced_ = now;
  }
}

void ProxyMetrics::collect(Stats& stats) const {
  const std::string prefix = "kubeproxy_sync_proxy_rules_";
  for (size_t family = 0; family < kFamilies.size(); family++) {
    auto label = family_label(family);
    stats.histogram(prefix + "duration_seconds", "SyncProxyRules latency in seconds", sync_, label);
    stats.histogram("kubeproxy_sync_full_proxy_rules_duration_seconds",
                    "SyncProxyRules latency in seconds for full resyncs", full_sync_, label);
    stats.histogram("kubeproxy_sync_partial_proxy_rules_duration_seconds",
                    "SyncProxyRules latency in seconds for partial resyncs", partial_sync_, label);
    stats.gauge(prefix + "last_timestamp_seconds", "The last time proxy rules were successfully synced",
                seconds(synced_.time_since_epoch()), label);
    stats.gauge(prefix + "last_queued_timestamp_seconds", "The last time a sync of proxy rules was queued",
                seconds(queued_.time_since_epoch()), label);
    stats.histogram("kubeproxy_network_programming_duration_seconds",
                    "In Cluster Network Programming Latency in seconds", programming_[family], label);
  }
  auto count = [](size_t number) { return static_cast<double>(number); };
  stats.gauge(prefix + "endpoint_changes_pending", "Pending proxy rules Endpoint changes", count(slices_.pending));
  stats.counter(prefix + "endpoint_changes_total", "Cumulative proxy rules Endpoint changes", count(slices_.total));
  stats.gauge(prefix + "service_changes_pending", "Pending proxy rules Service changes", count(services_.pending));
  stats.counter(prefix + "service_changes_total", "Cumulative proxy rules Service changes", count(services_.total));
}

void collect_no_local_endpoints(const dataplane::Model& model, Stats& stats) {
  std::array<size_t, 2> internal{}, external{};
  for (const auto& [key, service] : model.services) {
    auto dropped = [&, &frontends = service.frontends](bool inside) {
      return std::ranges::any_of(frontends, [&](const dataplane::Frontend& frontend) {
        return (frontend.kind == dataplane::FrontendKind::cluster_ip) == inside &&
               frontend.use(From::outside).verdict == Verdict::drop;
      });
    };
    const bool six = key.family == Family::ipv6;
    internal[six] += dropped(true);
    external[six] += dropped(false);
  }
  for (size_t family = 0; family < kFamilies.size(); family++) {
    for (const auto& [policy, counts] : {std::pair("internal", internal), std::pair("external", external)}) {
      stats.gauge("kubeproxy_sync_proxy_rules_no_local_endpoints_total",
                  "Number of services with a Local traffic policy and no endpoints",
                  static_cast<double>(counts[family]), {{"traffic_policy", policy}, {"ip_family", kFamilies[family]}});
    }
  }
}

}  // namespace keelson::network
