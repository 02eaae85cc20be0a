// SPDX-License-Identifier: Apache-2.0
// RPCs ListMetricDescriptors and ListPodSandboxMetrics (KEP-2371): cAdvisor's names over what stats.h reads.
#include <array>

#include "cri/runtime/stats.h"
#include "cri/service.h"

namespace keelson::cri {

namespace {

using Pod = v1::PodSandboxStats;
using Usage = v1::ContainerStats;
using Interface = v1::NetworkInterfaceUsage;

constexpr uint64_t kNanosecondsPerSecond = 1'000'000'000;

/// One metric: how a scraper knows it, and where its value is. Values are whole numbers, so CPU seconds are rounded
/// down.
template <class From>
struct Row {
  const char* name;
  const char* help;
  v1::MetricType type;
  uint64_t (*value)(const From&);
};

constexpr std::array kContainerRows = {
    Row<Usage>{"container_cpu_usage_seconds_total", "CPU time used, in seconds.", v1::COUNTER,
               [](const Usage& use) { return use.cpu().usage_core_nano_seconds().value() / kNanosecondsPerSecond; }},
    Row<Usage>{"container_memory_usage_bytes", "Memory in use, caches included, in bytes.", v1::GAUGE,
               [](const Usage& use) { return use.memory().usage_bytes().value(); }},
    Row<Usage>{"container_memory_working_set_bytes", "Memory in use that cannot be reclaimed at once, in bytes.",
               v1::GAUGE, [](const Usage& use) { return use.memory().working_set_bytes().value(); }},
    Row<Usage>{"container_memory_rss", "Anonymous memory, in bytes.", v1::GAUGE,
               [](const Usage& use) { return use.memory().rss_bytes().value(); }},
    Row<Usage>{"container_fs_usage_bytes", "Size of the writable layer, in bytes.", v1::GAUGE,
               [](const Usage& use) { return use.writable_layer().used_bytes().value(); }},
    Row<Usage>{"container_fs_inodes_used", "Files and folders in the writable layer.", v1::GAUGE,
               [](const Usage& use) { return use.writable_layer().inodes_used().value(); }},
};

constexpr std::array kPodRows = {
    Row<Pod>{"container_processes", "Processes in the pod.", v1::GAUGE,
             [](const Pod& pod) { return pod.linux().process().process_count().value(); }},
};

constexpr std::array kNetworkRows = {
    Row<Interface>{"container_network_receive_bytes_total", "Bytes received.", v1::COUNTER,
                   [](const Interface& link) { return link.rx_bytes().value(); }},
    Row<Interface>{"container_network_receive_errors_total", "Errors while receiving.", v1::COUNTER,
                   [](const Interface& link) { return link.rx_errors().value(); }},
    Row<Interface>{"container_network_transmit_bytes_total", "Bytes sent.", v1::COUNTER,
                   [](const Interface& link) { return link.tx_bytes().value(); }},
    Row<Interface>{"container_network_transmit_errors_total", "Errors while sending.", v1::COUNTER,
                   [](const Interface& link) { return link.tx_errors().value(); }},
};

using Labels = std::vector<std::string>;

template <class Rows>
void describe(const Rows& rows, const Labels& keys, v1::ListMetricDescriptorsResponse& response) {
  for (const auto& row : rows) {
    auto* descriptor = response.add_descriptors();
    descriptor->set_name(row.name);
    descriptor->set_help(row.help);
    descriptor->mutable_label_keys()->Add(keys.begin(), keys.end());
  }
}

// The timestamp stays 0: read now, not from a cache.
template <class Rows, class From, class Target>
void measure(const Rows& rows, const From& from, const Labels& values, Target& target) {
  for (const auto& row : rows) {
    auto* metric = target.add_metrics();
    metric->set_name(row.name);
    metric->set_metric_type(row.type);
    metric->mutable_label_values()->Add(values.begin(), values.end());
    metric->mutable_value()->set_value(row.value(from));
  }
}

void fill(const Pod& pod, v1::PodSandboxMetrics& metrics) {
  const auto& id = pod.attributes().id();
  const std::string name = "POD";  // as cAdvisor calls what is the whole pod's
  metrics.set_pod_sandbox_id(id);
  measure(kPodRows, pod, {id, name}, metrics);
  for (const auto& link : pod.linux().network().interfaces()) {
    measure(kNetworkRows, link, {id, name, link.name()}, metrics);
  }
  if (pod.linux().network().has_default_interface()) {
    const auto& link = pod.linux().network().default_interface();
    measure(kNetworkRows, link, {id, name, link.name()}, metrics);
  }
  for (const auto& usage : pod.linux().containers()) {
    auto* container = metrics.add_container_metrics();
    container->set_container_id(usage.attributes().id());
    measure(kContainerRows, usage, {usage.attributes().id(), usage.attributes().metadata().name()}, *container);
  }
}

}  // namespace

grpc::Status RuntimeService::ListMetricDescriptors(grpc::ServerContext*, const v1::ListMetricDescriptorsRequest*,
                                                   v1::ListMetricDescriptorsResponse* response) {
  describe(kContainerRows, {"id", "name"}, *response);
  describe(kPodRows, {"id", "name"}, *response);
  describe(kNetworkRows, {"id", "name", "interface"}, *response);
  return grpc::Status::OK;
}

grpc::Status RuntimeService::ListPodSandboxMetrics(grpc::ServerContext*, const v1::ListPodSandboxMetricsRequest*,
                                                   v1::ListPodSandboxMetricsResponse* response) {
  for (const auto& sandbox : parts_.pods.sandboxes()) {
    if (sandbox->read([](const auto& record) { return record.state() == v1::SANDBOX_READY; })) {
      fill(stats_of(parts_, *sandbox), *response->add_pod_metrics());
    }
  }
  return grpc::Status::OK;
}

}  // namespace keelson::cri
