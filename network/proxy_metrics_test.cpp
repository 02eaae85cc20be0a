// SPDX-License-Identifier: Apache-2.0
#include "network/proxy_metrics.h"

#include <gtest/gtest.h>

namespace keelson::network {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class ProxyMetricsTest : public ::testing::Test {
 protected:
  double value(const std::string& name, size_t sample = 0) {
    Stats stats;
    metrics_.collect(stats);
    return stats.families().at("kubeproxy_" + name).samples.at(sample).value;
  }
  Histogram histogram(const std::string& name, size_t sample = 0) {
    Stats stats;
    metrics_.collect(stats);
    return stats.families().at("kubeproxy_" + name).samples.at(sample).histogram.at(0);
  }
  ObjectBatch slices(kube::AddressType type, const std::vector<std::string>& trigger_times) {
    ObjectBatch batch{.objects = {}, .synced = true};
    for (const auto& time : trigger_times) {
      auto& slice = batch.objects.slices.emplace_back();
      slice.address_type = type;
      slice.metadata.annotations["endpoints.kubernetes.io/last-change-trigger-time"] = time;
    }
    return batch;
  }

  FakeClock clock_;
  ProxyMetrics metrics_{clock_};
};

TEST_F(ProxyMetricsTest, CountsChangesAndSyncs) {
  ObjectBatch batch;
  batch.objects.services.resize(2);
  batch.objects.removed_services = {"default/gone"};
  batch.objects.slices.resize(1);
  metrics_.received(batch);
  EXPECT_EQ(value("sync_proxy_rules_service_changes_total"), 3);
  EXPECT_EQ(value("sync_proxy_rules_service_changes_pending"), 3);
  EXPECT_EQ(value("sync_proxy_rules_endpoint_changes_pending"), 1);
  EXPECT_EQ(value("sync_proxy_rules_last_queued_timestamp_seconds"), 1'700'000'000);
  EXPECT_EQ(value("sync_proxy_rules_last_timestamp_seconds"), 0);

  clock_.advance(seconds(1));
  metrics_.synced({.full = true, .duration = milliseconds(3)});
  metrics_.synced({.full = false, .duration = milliseconds(1)});
  EXPECT_EQ(value("sync_proxy_rules_service_changes_pending"), 0);
  EXPECT_EQ(value("sync_proxy_rules_service_changes_total"), 3);
  EXPECT_EQ(value("sync_proxy_rules_last_timestamp_seconds", 1), 1'700'000'001);
  EXPECT_EQ(histogram("sync_proxy_rules_duration_seconds").count(), 2u);
  EXPECT_DOUBLE_EQ(histogram("sync_full_proxy_rules_duration_seconds").sum(), 0.003);
  EXPECT_DOUBLE_EQ(histogram("sync_partial_proxy_rules_duration_seconds", 1).sum(), 0.001);

  clock_.advance(seconds(1));
  metrics_.synced({.full = true, .failed = 1, .duration = milliseconds(1)});
  EXPECT_EQ(value("sync_proxy_rules_last_timestamp_seconds"), 1'700'000'001) << "it did not succeed";
}

TEST_F(ProxyMetricsTest, MeasuresFromTheChangeToTheTables) {
  clock_.advance(seconds(20));  // 22:13:40
  metrics_.received(slices(kube::AddressType::ipv4, {"2023-11-14T22:13:38.5Z", "2023-11-14T23:13:39+01:00"}));
  metrics_.received(slices(kube::AddressType::ipv6, {"2023-11-14T22:13:39Z"}));
  metrics_.received(slices(kube::AddressType::ipv4, {"2023-11-14T22:13:19Z", "yesterday"}));  // before the start; wrong
  clock_.advance(milliseconds(500));
  metrics_.synced({});
  auto four = histogram("network_programming_duration_seconds"),
       six = histogram("network_programming_duration_seconds", 1);
  EXPECT_EQ(four.count(), 2u);
  EXPECT_DOUBLE_EQ(four.sum(), 3.5);
  EXPECT_EQ(six.count(), 1u);
  EXPECT_EQ(four.bounds().size(), 80u);
  EXPECT_EQ(four.bounds().back(), 300);
  metrics_.synced({});
  EXPECT_EQ(histogram("network_programming_duration_seconds").count(), 2u) << "once each";
}

TEST_F(ProxyMetricsTest, ServicesThatDropForWantOfLocalEndpoints) {
  using namespace dataplane;
  Use drop{Verdict::drop, false}, local{Verdict::local, false}, cluster{Verdict::cluster, false};
  auto frontend = [](FrontendKind kind, Use use, Use outside) {
    return Frontend{kind, Address::v4(0x0a000001), 80, {use, use, outside}, {}};
  };
  Model model;
  model.services[{"default/a", Family::ipv4}].frontends = {frontend(FrontendKind::cluster_ip, drop, drop),
                                                           frontend(FrontendKind::node_port, cluster, drop),
                                                           frontend(FrontendKind::load_balancer, cluster, drop)};
  model.services[{"default/b", Family::ipv4}].frontends = {frontend(FrontendKind::cluster_ip, local, local),
                                                           frontend(FrontendKind::external_ip, cluster, drop)};
  model.services[{"default/b", Family::ipv6}].frontends = {frontend(FrontendKind::cluster_ip, drop, drop)};
  Stats stats;
  collect_no_local_endpoints(model, stats);
  std::string text;
  for (const auto& sample : stats.families().at("kubeproxy_sync_proxy_rules_no_local_endpoints_total").samples) {
    text += sample.labels[0].second + " " + sample.labels[1].second + " " + std::to_string(int(sample.value)) + "\n";
  }
  EXPECT_EQ(text, "internal IPv4 1\nexternal IPv4 2\ninternal IPv6 1\nexternal IPv6 0\n");
}

}  // namespace
}  // namespace keelson::network
