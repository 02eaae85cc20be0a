// SPDX-License-Identifier: Apache-2.0
// stats.h.
#include "cri/runtime/stats.h"

#include <sstream>

#include "common/fd.h"
#include "common/tree_use.h"
#include "cri/runtime/status_view.h"
#include "cri/shim/client.h"

namespace keelson::cri {

namespace v1 = ::runtime::v1;

namespace {

void fill(const cgroup::Usage& usage, int64_t now, v1::CpuUsage& cpu, v1::MemoryUsage& memory) {
  cpu.set_timestamp(now);
  cpu.mutable_usage_core_nano_seconds()->set_value(usage.cpu_nanoseconds);
  memory.set_timestamp(now);
  memory.mutable_usage_bytes()->set_value(usage.memory);
  memory.mutable_working_set_bytes()->set_value(usage.working_set);
  memory.mutable_rss_bytes()->set_value(usage.anonymous);
  memory.mutable_page_faults()->set_value(usage.page_faults);
  memory.mutable_major_page_faults()->set_value(usage.major_page_faults);
  if (usage.memory_limit > 0) {
    memory.mutable_available_bytes()->set_value(
        usage.memory_limit > usage.working_set ? usage.memory_limit - usage.working_set : 0);
  }
}

void add(const cgroup::Usage& part, cgroup::Usage& sum) {
  sum.cpu_nanoseconds += part.cpu_nanoseconds;
  sum.memory += part.memory;
  sum.working_set += part.working_set;
  sum.anonymous += part.anonymous;
  sum.page_faults += part.page_faults;
  sum.major_page_faults += part.major_page_faults;
  sum.processes += part.processes;
}

// /proc/PID/net/dev: "name: rx_bytes packets errs drop fifo frame compressed multicast tx_bytes packets errs ..."
v1::NetworkUsage network_of(pid_t pid, int64_t now) {
  v1::NetworkUsage network;
  network.set_timestamp(now);
  std::istringstream lines(read_file(fmt::format("/proc/{}/net/dev", pid)).value_or(""));
  for (std::string line; std::getline(lines, line);) {
    const auto colon = line.find(':');
    const auto start = line.find_first_not_of(' ');
    if (colon == std::string::npos || line.substr(start, colon - start) == "lo") {
      continue;
    }
    std::istringstream fields(line.substr(colon + 1));
    std::array<uint64_t, 11> values{};
    for (auto& value : values) {
      fields >> value;
    }
    v1::NetworkInterfaceUsage link;
    link.set_name(line.substr(start, colon - start));
    link.mutable_rx_bytes()->set_value(values[0]);
    link.mutable_rx_errors()->set_value(values[2]);
    link.mutable_tx_bytes()->set_value(values[8]);
    link.mutable_tx_errors()->set_value(values[10]);
    if (link.name() == "eth0") {
      *network.mutable_default_interface() = link;
    }
    *network.add_interfaces() = link;
  }
  return network;
}

}  // namespace

v1::ContainerStats stats_of(const Parts& parts, const Container& container) {
  v1::ContainerStats stats;
  const auto now = now_ns();
  const auto cgroup = container.read([&](const ContainerRecord& record) {
    *stats.mutable_attributes() = attributes_of(record);
    return record.cgroup();
  });
  const auto usage = parts.cgroups.usage(cgroup);
  fill(usage, now, *stats.mutable_cpu(), *stats.mutable_memory());
  stats.mutable_swap()->set_timestamp(now);
  stats.mutable_swap()->mutable_swap_usage_bytes()->set_value(usage.swap);
  const auto layer = use_of_tree(parts.container_dir(container.id()) + "/upper");
  auto* disk = stats.mutable_writable_layer();
  disk->set_timestamp(now);
  disk->mutable_fs_id()->set_mountpoint(parts.options.state_dir);
  disk->mutable_used_bytes()->set_value(layer.bytes);
  disk->mutable_inodes_used()->set_value(layer.inodes);
  return stats;
}

v1::PodSandboxStats stats_of(const Parts& parts, const Sandbox& sandbox) {
  v1::PodSandboxStats stats;
  const auto now = now_ns();
  const auto record = sandbox.record();
  *stats.mutable_attributes() = attributes_of(record);
  auto& linux = *stats.mutable_linux();
  auto sum = parts.cgroups.usage(parts.cgroups.child(record.cgroup_parent(), record.id()));
  sum.memory_limit = 0;
  pid_t inside = 0;
  for (const auto& container : sandbox.containers()) {
    const auto [running, cgroup, pid] = container->read(
        [](const auto& one) { return std::tuple(one.state() == v1::CONTAINER_RUNNING, one.cgroup(), one.pid()); });
    if (running) {
      add(parts.cgroups.usage(cgroup), sum);
      *linux.add_containers() = stats_of(parts, *container);
      inside = pid;
    }
  }
  fill(sum, now, *linux.mutable_cpu(), *linux.mutable_memory());
  linux.mutable_process()->set_timestamp(now);
  linux.mutable_process()->mutable_process_count()->set_value(sum.processes);
  const auto shim = sandbox.shim();
  if (inside == 0 && shim) {
    inside = shim->pid();
  }
  if (inside > 0) {
    *linux.mutable_network() = network_of(inside, now);
  }
  return stats;
}

}  // namespace keelson::cri
