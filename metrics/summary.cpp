// SPDX-License-Identifier: Apache-2.0
#include "metrics/summary.h"

#include <algorithm>

#include <boost/json.hpp>

namespace keelson::metrics {

namespace {

namespace json = boost::json;

struct Scope {
  const NodeUse& node;
  bool all;  ///< not CPU and memory alone
};

json::object pressure_line(const cgroup::Pressure::Line& line) {
  return {{"total", line.total_microseconds * 1000},
          {"avg10", line.average_10},
          {"avg60", line.average_60},
          {"avg300", line.average_300}};
}
void add_pressure(json::object& to, const std::optional<cgroup::Pressure>& pressure) {
  if (pressure) {
    to["psi"] = json::object{{"full", pressure_line(pressure->full)}, {"some", pressure_line(pressure->some)}};
  }
}

json::object cpu_of(const GroupUse& group) {
  json::object cpu{{"time", format_rfc3339(group.at)}};
  if (group.cpu_rate) {
    cpu["usageNanoCores"] = *group.cpu_rate;
  }
  cpu["usageCoreNanoSeconds"] = group.counters.cpu;
  add_pressure(cpu, group.counters.cpu_pressure);
  return cpu;
}

json::object memory_of(const GroupUse& group, uint64_t limit) {
  const auto& counters = group.counters;
  json::object memory{{"time", format_rfc3339(group.at)}};
  if (limit > 0) {
    memory["availableBytes"] = limit > counters.working_set ? limit - counters.working_set : 0;
  }
  memory["usageBytes"] = counters.memory;
  memory["workingSetBytes"] = counters.working_set;
  memory["rssBytes"] = counters.anonymous;
  memory["pageFaults"] = counters.page_faults;
  memory["majorPageFaults"] = counters.major_page_faults;
  add_pressure(memory, counters.memory_pressure);
  return memory;
}

json::object swap_of(const GroupUse& group, uint64_t limit) {
  return {{"time", format_rfc3339(group.at)},
          {"swapAvailableBytes", limit > group.counters.swap ? limit - group.counters.swap : 0},
          {"swapUsageBytes", group.counters.swap}};
}

void add_io(json::object& to, const GroupUse& group) {
  if (group.counters.io_pressure) {
    json::object io{{"time", format_rfc3339(group.at)}};
    add_pressure(io, group.counters.io_pressure);
    to["io"] = std::move(io);
  }
}

json::object disk_json(const DiskUse& disk, WallTime at) {
  return {{"time", format_rfc3339(at)},    {"availableBytes", disk.available}, {"capacityBytes", disk.capacity},
          {"usedBytes", disk.used},        {"inodesFree", disk.inodes_free},   {"inodes", disk.inodes},
          {"inodesUsed", disk.inodes_used}};
}

/// A part of the node's disk.
json::object part_json(const NodeUse& node, const DiskUse& part, WallTime at) {
  auto whole = node.disk;
  whole.used = part.used;
  whole.inodes_used = part.inodes_used;
  return disk_json(whole, at);
}

json::object link_json(const LinkUse& link) {
  return {{"name", link.name},
          {"rxBytes", link.received.bytes},
          {"rxErrors", link.received.errors},
          {"txBytes", link.sent.bytes},
          {"txErrors", link.sent.errors}};
}

/// The first is the default one: eth0 in a pod.
json::object network_json(const std::vector<LinkUse>& links, WallTime at) {
  const auto eth0 = std::ranges::find(links, "eth0", &LinkUse::name);
  json::object network{{"time", format_rfc3339(at)}};
  for (auto& [key, value] : link_json(eth0 != links.end() ? *eth0 : links.front())) {
    network[key] = value;
  }
  json::array interfaces;
  for (const auto& link : links) {
    interfaces.push_back(link_json(link));
  }
  network["interfaces"] = std::move(interfaces);
  return network;
}

json::object container_json(const Scope& scope, const ContainerUse& use) {
  json::object container{{"name", use.place.name},
                         {"startTime", format_rfc3339(use.place.started)},
                         {"cpu", cpu_of(use)},
                         {"memory", memory_of(use, use.counters.memory_limit)}};
  if (scope.all) {
    add_io(container, use);
    if (use.place.layer) {
      container["rootfs"] = part_json(scope.node, *use.place.layer, use.at);
    }
    container["logs"] = part_json(scope.node, use.logs, use.at);
    container["swap"] = swap_of(use, use.counters.swap_limit);
  }
  return container;
}

json::object volume_json(const PodUse& pod, const VolumeUse& use) {
  auto volume = disk_json(use.disk, use.at);
  volume["name"] = use.place.name;
  if (!use.place.claim.empty()) {
    volume["pvcRef"] = json::object{{"name", use.place.claim}, {"namespace", pod.place.ns}};
  }
  if (use.abnormal) {
    volume["volumeHealthStats"] = json::object{{"abnormal", *use.abnormal}};
  }
  return volume;
}

void add_rest(const Scope& scope, const PodUse& use, json::object& pod) {
  add_io(pod, use);
  if (!use.links.empty()) {
    pod["network"] = network_json(use.links, use.at);
  }
  json::array volumes;
  for (const auto& volume : use.volumes) {
    volumes.push_back(volume_json(use, volume));
  }
  if (!volumes.empty()) {
    pod["volume"] = std::move(volumes);
  }
  pod["ephemeral-storage"] = part_json(scope.node, ephemeral_storage(use), use.at);
  size_t processes = 0;
  for (const auto& container : use.containers) {
    processes += container.processes.count;
  }
  pod["process_stats"] = json::object{{"process_count", processes}};
  pod["swap"] = swap_of(use, use.counters.swap_limit);
}

json::object pod_json(const Scope& scope, const PodUse& use) {
  json::array containers;
  for (const auto& container : use.containers) {
    containers.push_back(container_json(scope, container));
  }
  json::object pod{
      {"podRef", json::object{{"name", use.place.name}, {"namespace", use.place.ns}, {"uid", use.place.uid}}},
      {"startTime", format_rfc3339(use.place.started)},
      {"containers", std::move(containers)},
      {"cpu", cpu_of(use)},
      {"memory", memory_of(use, use.counters.memory_limit)}};
  if (scope.all) {
    add_rest(scope, use, pod);
  }
  return pod;
}

json::array system_containers(const NodeUse& node) {
  json::array list;
  const auto tell = [&](const std::string& name, WallTime started, const GroupUse& use) {
    list.push_back(json::object{{"name", name},
                                {"startTime", format_rfc3339(started)},
                                {"cpu", cpu_of(use)},
                                {"memory", memory_of(use, node.memory_capacity)}});
  };
  for (const auto& use : node.system) {
    tell(use.name, use.started, use);
  }
  if (!node.groups.empty()) {
    tell("pods", node.booted, node.groups.front());
  }
  return list;
}

json::object node_json(const Scope& scope) {
  const auto& node = scope.node;
  json::object out{{"nodeName", node.name},
                   {"systemContainers", system_containers(node)},
                   {"startTime", format_rfc3339(node.booted)},
                   {"cpu", cpu_of(node)},
                   {"memory", memory_of(node, node.memory_capacity)}};
  if (!scope.all) {
    return out;
  }
  add_io(out, node);
  if (!node.links.empty()) {
    out["network"] = network_json(node.links, node.at);
  }
  out["fs"] = disk_json(node.disk, node.at);
  if (node.images) {
    const auto images =
        node.images->capacity > 0 ? disk_json(*node.images, node.at) : part_json(node, *node.images, node.at);
    out["runtime"] = json::object{{"imageFs", images}, {"containerFs", images}};
  }
  out["rlimit"] =
      json::object{{"time", format_rfc3339(node.at)}, {"maxpid", node.most_threads}, {"curproc", node.threads}};
  out["swap"] = swap_of(node, node.swap_capacity);
  return out;
}

}  // namespace

DiskUse ephemeral_storage(const PodUse& pod) {
  DiskUse sum = pod.hosts_file;
  const auto add = [&sum](const DiskUse& part) {
    sum.used += part.used;
    sum.inodes_used += part.inodes_used;
  };
  for (const auto& container : pod.containers) {
    add(container.place.layer.value_or(DiskUse()));
    add(container.logs);
  }
  for (const auto& volume : pod.volumes) {
    if (volume.place.claim.empty() && !volume.apart) {
      add(volume.disk);
    }
  }
  return sum;
}

std::string summary_json(const NodeUse& node, bool only_cpu_and_memory) {
  const Scope scope{node, !only_cpu_and_memory};
  json::array pods;
  for (const auto& pod : node.pods) {
    pods.push_back(pod_json(scope, pod));
  }
  return json::serialize(json::object{{"node", node_json(scope)}, {"pods", std::move(pods)}});
}

}  // namespace keelson::metrics
