// SPDX-License-Identifier: Apache-2.0
#include "metrics/resource.h"

namespace keelson::metrics {

namespace {

double seconds(uint64_t nanoseconds) {
  return static_cast<double>(nanoseconds) / 1e9;
}
double start_of(WallTime time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}

void collect_container(const PodUse& pod, const ContainerUse& use, Stats& stats) {
  const StatLabels labels = {{"container", use.place.name}, {"namespace", pod.place.ns}, {"pod", pod.place.name}};
  const auto& counters = use.counters;
  stats.counter("container_cpu_usage_seconds_total",
                "[STABLE] Cumulative cpu time consumed by the container in core-seconds", seconds(counters.cpu),
                labels);
  stats.gauge("container_memory_working_set_bytes", "[STABLE] Current working set of the container in bytes",
              static_cast<double>(counters.working_set), labels);
  stats.gauge("container_start_time_seconds", "[STABLE] Start time of the container since unix epoch in seconds",
              start_of(use.place.started), labels);
  stats.gauge("container_swap_usage_bytes",
              "[ALPHA] Current amount of the container swap usage in bytes. Reported only on non-windows systems",
              static_cast<double>(counters.swap), labels);
  stats.gauge("container_swap_limit_bytes",
              "[ALPHA] Current amount of the container swap limit in bytes. Reported only on non-windows systems",
              static_cast<double>(counters.swap_limit), labels);
}

}  // namespace

void collect_resource(const NodeUse& node, Stats& stats) {
  stats.counter("node_cpu_usage_seconds_total", "[STABLE] Cumulative cpu time consumed by the node in core-seconds",
                seconds(node.counters.cpu));
  stats.gauge("node_memory_working_set_bytes", "[STABLE] Current working set of the node in bytes",
              static_cast<double>(node.counters.working_set));
  stats.gauge("node_swap_usage_bytes",
              "[ALPHA] Current swap usage of the node in bytes. Reported only on non-windows systems",
              static_cast<double>(node.counters.swap));
  for (const auto& pod : node.pods) {
    const StatLabels labels = {{"namespace", pod.place.ns}, {"pod", pod.place.name}};
    stats.counter("pod_cpu_usage_seconds_total", "[STABLE] Cumulative cpu time consumed by the pod in core-seconds",
                  seconds(pod.counters.cpu), labels);
    stats.gauge("pod_memory_working_set_bytes", "[STABLE] Current working set of the pod in bytes",
                static_cast<double>(pod.counters.working_set), labels);
    stats.gauge("pod_swap_usage_bytes",
                "[ALPHA] Current amount of the pod swap usage in bytes. Reported only on non-windows systems",
                static_cast<double>(pod.counters.swap), labels);
    for (const auto& container : pod.containers) {
      collect_container(pod, container, stats);
    }
  }
  stats.gauge("resource_scrape_error", "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise",
              0);
  stats.gauge("scrape_error",
              "[ALPHA] (Deprecated since 1.29.0) 1 if there was an error while getting container metrics, 0 otherwise",
              0);
}

}  // namespace keelson::metrics
