// SPDX-License-Identifier: Apache-2.0
#include "metrics/cadvisor.h"

#include <fmt/format.h>

namespace keelson::metrics {

namespace {

using cgroup::Counters;

enum class Shape { counter, gauge };

double plain(uint64_t value) {
  return static_cast<double>(value);
}
double seconds(uint64_t nanoseconds) {
  return static_cast<double>(nanoseconds) / 1e9;
}
double time_of(WallTime time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}

/// One number of a cgroup: its name there and here.
struct Metric {
  const char* name;
  Shape shape;
  uint64_t Counters::* field;
  double (*unit)(uint64_t);
  const char* help;
};
constexpr Metric kMetrics[] = {
    {"container_cpu_user_seconds_total", Shape::counter, &Counters::cpu_user, seconds,
     "Cumulative user cpu time consumed in seconds."},
    {"container_cpu_system_seconds_total", Shape::counter, &Counters::cpu_system, seconds,
     "Cumulative system cpu time consumed in seconds."},
    {"container_memory_usage_bytes", Shape::gauge, &Counters::memory, plain,
     "Current memory usage in bytes, including all memory regardless of when it was accessed"},
    {"container_memory_working_set_bytes", Shape::gauge, &Counters::working_set, plain,
     "Current working set in bytes."},
    {"container_memory_rss", Shape::gauge, &Counters::anonymous, plain, "Size of RSS in bytes."},
    {"container_memory_cache", Shape::gauge, &Counters::cache, plain, "Number of bytes of page cache memory."},
    {"container_memory_mapped_file", Shape::gauge, &Counters::mapped_files, plain,
     "Size of memory mapped files in bytes."},
    {"container_memory_swap", Shape::gauge, &Counters::swap, plain, "Container swap usage in bytes."},
    {"container_memory_kernel_usage", Shape::gauge, &Counters::kernel, plain,
     "Size of kernel memory allocated in bytes."},
    {"container_memory_max_usage_bytes", Shape::gauge, &Counters::highest_memory, plain,
     "Maximum memory usage recorded in bytes"},
    {"container_memory_total_active_file_bytes", Shape::gauge, &Counters::active_files, plain,
     "Current total active file in bytes."},
    {"container_memory_total_inactive_file_bytes", Shape::gauge, &Counters::inactive_files, plain,
     "Current total inactive file in bytes."},
    {"container_memory_failcnt", Shape::counter, &Counters::failures, plain, "Number of memory usage hits limits"},
    {"container_oom_events_total", Shape::counter, &Counters::oom_kills, plain,
     "Count of out of memory events observed for the container"},
    {"container_threads", Shape::gauge, &Counters::threads, plain, "Number of threads running inside the container"},
    {"container_threads_max", Shape::gauge, &Counters::threads_limit, plain,
     "Maximum number of threads allowed inside the container, infinity if value is zero"},
    {"container_spec_cpu_period", Shape::gauge, &Counters::cpu_period, plain, "CPU period of the container."},
    {"container_spec_cpu_shares", Shape::gauge, &Counters::cpu_shares, plain, "CPU share of the container."},
    {"container_spec_memory_limit_bytes", Shape::gauge, &Counters::memory_limit, plain,
     "Memory limit for the container."},
    {"container_spec_memory_reservation_limit_bytes", Shape::gauge, &Counters::memory_reservation, plain,
     "Memory reservation limit for the container."},
    {"container_spec_memory_swap_limit_bytes", Shape::gauge, &Counters::swap_limit, plain,
     "Memory swap limit for the container."},
};
/// Where there is a quota.
constexpr Metric kThrottling[] = {
    {"container_cpu_cfs_periods_total", Shape::counter, &Counters::periods, plain,
     "Number of elapsed enforcement period intervals."},
    {"container_cpu_cfs_throttled_periods_total", Shape::counter, &Counters::throttled_periods, plain,
     "Number of throttled period intervals."},
    {"container_cpu_cfs_throttled_seconds_total", Shape::counter, &Counters::throttled, seconds,
     "Total time duration the container has been throttled."},
};

StatLabels with(StatLabels labels, std::initializer_list<std::pair<std::string, std::string>> more) {
  labels.insert(labels.end(), more.begin(), more.end());
  return labels;
}

void collect(const Metric& metric, const Counters& counters, const StatLabels& labels, Stats& stats) {
  const double value = metric.unit(counters.*metric.field);
  metric.shape == Shape::counter ? stats.counter(metric.name, metric.help, value, labels)
                                 : stats.gauge(metric.name, metric.help, value, labels);
}

/// As cAdvisor: "/dev/sda"; of one that the kernel does not name, its number.
std::string name_of(const cgroup::DeviceUse& use, const BlockDevices& known) {
  const auto found = known.find({use.major, use.minor});
  return found != known.end() ? "/dev/" + found->second.name : fmt::format("{}:{}", use.major, use.minor);
}

void collect_devices(const std::vector<cgroup::DeviceUse>& devices, const BlockDevices& known, const StatLabels& labels,
                     Stats& stats) {
  for (const auto& use : devices) {
    const auto own = with(labels, {{"device", name_of(use, known)}});
    stats.counter("container_fs_reads_total", "Cumulative count of reads completed", plain(use.reads), own);
    stats.counter("container_fs_writes_total", "Cumulative count of writes completed", plain(use.writes), own);
    stats.counter("container_fs_reads_bytes_total", "Cumulative count of bytes read", plain(use.read_bytes), own);
    stats.counter("container_fs_writes_bytes_total", "Cumulative count of bytes written", plain(use.written_bytes),
                  own);
    for (const auto& [operation, bytes] : {std::pair("Read", use.read_bytes), std::pair("Write", use.written_bytes)}) {
      stats.counter(
          "container_blkio_device_usage_total", "Blkio Device bytes usage", plain(bytes),
          with(own,
               {{"major", std::to_string(use.major)}, {"minor", std::to_string(use.minor)}, {"operation", operation}}));
    }
  }
}

/// `what`: in a sentence.
void collect_pressure(const char* name, const char* what, const std::optional<cgroup::Pressure>& pressure,
                      const StatLabels& labels, Stats& stats) {
  if (pressure) {
    stats.counter(fmt::format("container_pressure_{}_waiting_seconds_total", name),
                  fmt::format("Total time duration tasks in the container have waited due to {} congestion.", what),
                  static_cast<double>(pressure->some.total_microseconds) / 1e6, labels);
    stats.counter(
        fmt::format("container_pressure_{}_stalled_seconds_total", name),
        fmt::format("Total time duration no tasks in the container could make progress due to {} congestion.", what),
        static_cast<double>(pressure->full.total_microseconds) / 1e6, labels);
  }
}

void collect_group(const GroupUse& group, const BlockDevices& known, const StatLabels& labels, Stats& stats) {
  const auto& counters = group.counters;
  stats.counter("container_cpu_usage_seconds_total", "Cumulative cpu time consumed in seconds.", seconds(counters.cpu),
                with(labels, {{"cpu", "total"}}));
  for (const auto& metric : kMetrics) {
    collect(metric, counters, labels, stats);
  }
  if (counters.cpu_quota > 0) {
    stats.gauge("container_spec_cpu_quota", "CPU quota of the container.", static_cast<double>(counters.cpu_quota),
                labels);
    for (const auto& metric : kThrottling) {
      collect(metric, counters, labels, stats);
    }
  }
  for (const auto& [type, count] :
       {std::pair("pgfault", counters.page_faults), std::pair("pgmajfault", counters.major_page_faults)}) {
    // As on cgroup v2, which has one number for both.
    for (const char* scope : {"container", "hierarchy"}) {
      stats.counter("container_memory_failures_total", "Cumulative count of memory allocation failures.", plain(count),
                    with(labels, {{"failure_type", type}, {"scope", scope}}));
    }
  }
  collect_devices(counters.devices, known, labels, stats);
  collect_pressure("cpu", "CPU", counters.cpu_pressure, labels, stats);
  collect_pressure("memory", "memory", counters.memory_pressure, labels, stats);
  collect_pressure("io", "IO", counters.io_pressure, labels, stats);
  stats.gauge("container_last_seen", "Last time a container was seen by the exporter", time_of(group.at), labels);
}

void collect_start(WallTime time, const StatLabels& labels, Stats& stats) {
  stats.gauge("container_start_time_seconds", "Start time of the container since unix epoch in seconds.", time_of(time),
              labels);
}

void collect_links(const std::vector<LinkUse>& links, const StatLabels& labels, Stats& stats) {
  const struct {
    const char* name;
    uint64_t LinkUse::Direction::* field;
    const char* help;
  } numbers[] = {{"bytes", &LinkUse::Direction::bytes, "Cumulative count of bytes {}ed"},
                 {"packets", &LinkUse::Direction::packets, "Cumulative count of packets {}ed"},
                 {"packets_dropped", &LinkUse::Direction::dropped, "Cumulative count of packets dropped while {}ing"},
                 {"errors", &LinkUse::Direction::errors, "Cumulative count of errors encountered while {}ing"}};
  for (const auto& link : links) {
    const auto own = with(labels, {{"interface", link.name}});
    for (const auto& number : numbers) {
      const auto tell = [&](const char* way, const char* stem, const LinkUse::Direction& direction) {
        stats.counter(fmt::format("container_network_{}_{}_total", way, number.name),
                      fmt::format(fmt::runtime(number.help), stem), plain(direction.*number.field), own);
      };
      tell("receive", "receiv", link.received);
      tell("transmit", "transmitt", link.sent);
    }
  }
}

void collect_disk(const NodeUse& node, const DiskUse& part, const StatLabels& labels, Stats& stats) {
  const auto own = with(labels, {{"device", "root"}});
  stats.gauge("container_fs_usage_bytes", "Number of bytes that are consumed by the container on this filesystem.",
              plain(part.used), own);
  stats.gauge("container_fs_limit_bytes", "Number of bytes that can be consumed by the container on this filesystem.",
              plain(node.disk.capacity), own);
  stats.gauge("container_fs_inodes_free", "Number of available Inodes", plain(node.disk.inodes_free), own);
  stats.gauge("container_fs_inodes_total", "Number of Inodes", plain(node.disk.inodes), own);
}

void collect_disk_direction(const std::string& verb, const std::string& doing, const BlockDevice::Direction& numbers,
                            const StatLabels& labels, Stats& stats) {
  stats.counter(fmt::format("container_fs_sector_{}s_total", verb),
                fmt::format("Cumulative count of sector {}s completed", verb), plain(numbers.sectors), labels);
  stats.counter(fmt::format("container_fs_{}s_merged_total", verb), fmt::format("Cumulative count of {}s merged", verb),
                plain(numbers.merged), labels);
  stats.counter(fmt::format("container_fs_{}_seconds_total", verb),
                fmt::format("Cumulative count of seconds spent {}", doing),
                std::chrono::duration<double>(numbers.time).count(), labels);
}

/// What the kernel counts of disks for the machine alone.
void collect_block_devices(const NodeUse& node, const StatLabels& labels, Stats& stats) {
  for (const auto& use : node.counters.devices) {
    const auto known = node.block_devices.find({use.major, use.minor});
    if (known == node.block_devices.end()) {
      continue;
    }
    const BlockDevice& device = known->second;
    const auto own = with(labels, {{"device", "/dev/" + device.name}});
    collect_disk_direction("read", "reading", device.reads, own, stats);
    collect_disk_direction("write", "writing", device.writes, own, stats);
    stats.gauge("container_fs_io_current", "Number of I/Os currently in progress", plain(device.in_progress), own);
    stats.counter("container_fs_io_time_seconds_total", "Cumulative count of seconds spent doing I/Os",
                  std::chrono::duration<double>(device.busy).count(), own);
    stats.counter("container_fs_io_time_weighted_seconds_total", "Cumulative weighted I/O time in seconds",
                  std::chrono::duration<double>(device.weighted).count(), own);
  }
}

void collect_processes(const ProcessUse& use, const StatLabels& labels, Stats& stats) {
  stats.gauge("container_processes", "Number of processes running inside the container.",
              static_cast<double>(use.count), labels);
  stats.gauge("container_file_descriptors", "Number of open file descriptors for the container.",
              static_cast<double>(use.files), labels);
  stats.gauge("container_sockets", "Number of open sockets for the container.", static_cast<double>(use.sockets),
              labels);
  if (use.most_files) {
    stats.gauge("container_ulimits_soft",
                "Soft ulimit values for the container root process. Unlimited if -1, except priority and nice",
                static_cast<double>(*use.most_files), with(labels, {{"ulimit", "max_open_files"}}));
  }
}

void collect_container(const NodeUse& node, const PodUse& pod, const ContainerUse& use, Stats& stats) {
  const StatLabels labels = {{"container", use.place.name}, {"id", use.cgroup},          {"image", use.place.image},
                             {"name", use.place.id},        {"namespace", pod.place.ns}, {"pod", pod.place.name}};
  collect_group(use, node.block_devices, labels, stats);
  collect_start(use.place.started, labels, stats);
  collect_processes(use.processes, labels, stats);
  if (use.place.layer) {
    collect_disk(node, *use.place.layer, labels, stats);
  }
}

void collect_machine(const NodeUse& node, Stats& stats) {
  const StatLabels ids = {
      {"boot_id", node.ids.boot}, {"machine_id", node.ids.machine}, {"system_uuid", node.ids.system}};
  stats.gauge("machine_cpu_cores", "Number of logical CPU cores.", node.cpus, ids);
  stats.gauge("machine_cpu_physical_cores", "Number of physical CPU cores.", node.cores, ids);
  stats.gauge("machine_cpu_sockets", "Number of CPU sockets.", node.sockets, ids);
  for (const char* mode : {"memory_mode", "app_direct_mode"}) {
    stats.gauge("machine_nvm_capacity", "NVM capacity value labeled by NVM mode (memory mode or app direct mode).", 0,
                with(ids, {{"mode", mode}}));
  }
  stats.gauge("machine_nvm_avg_power_budget_watts", "NVM power budget.", 0, ids);
  stats.gauge("machine_memory_bytes", "Amount of memory installed on the machine.", plain(node.memory_capacity), ids);
  stats.gauge("machine_swap_bytes", "Amount of swap memory available on the machine.", plain(node.swap_capacity), ids);
  stats.gauge("machine_scrape_error", "1 if there was an error while getting machine metrics, 0 otherwise.", 0);
  stats.gauge("container_scrape_error", "1 if there was an error while getting container metrics, 0 otherwise", 0);
}

}  // namespace

void collect_cadvisor(const NodeUse& node, Stats& stats) {
  const auto labels_of = [](const std::string& cgroup, const std::string& ns, const std::string& pod) {
    return StatLabels{{"container", ""}, {"id", cgroup}, {"image", ""}, {"name", ""}, {"namespace", ns}, {"pod", pod}};
  };
  collect_machine(node, stats);
  const auto root = labels_of("/", "", "");
  collect_group(node, node.block_devices, root, stats);
  collect_block_devices(node, root, stats);
  collect_links(node.links, root, stats);
  collect_disk(node, node.disk, root, stats);
  collect_start(node.booted, root, stats);
  for (const auto& group : node.groups) {
    collect_group(group, node.block_devices, labels_of(group.cgroup, "", ""), stats);
  }
  for (const auto& pod : node.pods) {
    const auto labels = labels_of(pod.cgroup, pod.place.ns, pod.place.name);
    collect_group(pod, node.block_devices, labels, stats);
    collect_start(pod.place.started, labels, stats);
    collect_links(pod.links, labels, stats);
    for (const auto& container : pod.containers) {
      collect_container(node, pod, container, stats);
    }
  }
}

}  // namespace keelson::metrics
