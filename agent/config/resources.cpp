// SPDX-License-Identifier: Apache-2.0
// The kubelet's arithmetic.
#include "agent/config/resources.h"

#include <algorithm>
#include <limits>
#include <map>

#include "agent/critical_pod.h"

namespace keelson::agent {

namespace {

constexpr int64_t kMinShares = 2;
constexpr int64_t kMaxShares = 262'144;
constexpr int64_t kMinQuota = 1'000;
constexpr std::string_view kNodeCritical = "system-node-critical";
constexpr int64_t kGuaranteedScore = -997;
constexpr std::string_view kHugePages = "hugepages-";

int64_t milli_of(const kube::ResourceList& list, const char* name) {
  auto found = list.find(name);
  return found == list.end() ? 0 : found->second.milli();
}

int64_t whole_of(const kube::ResourceList& list, const char* name) {
  auto found = list.find(name);
  return found == list.end() ? 0 : found->second.whole();
}

/// The kernel says "2MB" where the API says "hugepages-2Mi".
std::string page_size(const std::string& resource) {
  const auto size = kube::Quantity::parse(resource.substr(kHugePages.size()));
  return size ? page_size_text(size->whole()) : "";
}

/// Bytes by page size; what is not named of the node's sizes is 0.
std::map<std::string, int64_t> huge_pages_of(const kube::ResourceList& list, const NodeCgroups& node) {
  std::map<std::string, int64_t> out;
  for (const auto& size : node.page_sizes) {
    out[size] = 0;
  }
  for (const auto& [name, amount] : list) {
    if (!name.starts_with(kHugePages)) {
      continue;
    }
    if (const auto known = out.find(page_size(name)); known != out.end()) {
      known->second += amount.whole();
    }
  }
  return out;
}

/// Of a pod's request what no container asks for itself, in equal parts (KEP-2837).
int64_t share_of_rest(const kube::Pod& pod) {
  const auto whole = pod.spec.resources ? whole_of(pod.spec.resources->requests, "memory") : 0;
  const auto count = static_cast<int64_t>(pod.spec.containers.size() + pod.spec.init_containers.size());
  return whole == 0 || count == 0 ? 0 : (whole - whole_of(kube::container_requests(pod), "memory")) / count;
}

/// Requests and limits of CPU and memory, as a cgroup's.
cri::LinuxResources cpu_and_memory(const kube::ResourceList& requests, const kube::ResourceList& limits,
                                   const NodeCgroups& node) {
  cri::LinuxResources out;
  out.cpu_shares = cpu_shares(milli_of(requests.contains("cpu") ? requests : limits, "cpu"));
  out.cpu_quota = cpu_quota(milli_of(limits, "cpu"), node.quotas);
  out.cpu_period = node.quotas.period;
  out.memory_limit_bytes = whole_of(limits, "memory");
  if (node.unified && !node.rules.single_oom_kill) {
    out.unified["memory.oom.group"] = "1";
  }
  return out;
}

int64_t swap_for(const kube::Pod& pod, const kube::Container& container, const NodeCgroups& node) {
  const auto request = whole_of(container.resources.requests, "memory");
  if (!node.limits_swap() || !may_swap(pod, container) || request > node.memory) {
    return 0;
  }
  return static_cast<int64_t>(static_cast<__int128>(request) * node.swap / std::max<int64_t>(node.memory, 1));
}

int64_t burstable_score(int64_t request, int64_t capacity) {
  auto score = 1000 - static_cast<int64_t>(static_cast<__int128>(1000) * request / std::max<int64_t>(capacity, 1));
  return std::clamp<int64_t>(score, 3, 999);
}

}  // namespace

int64_t cpu_shares(int64_t milli_cpu) {
  return std::clamp(milli_cpu * 1024 / 1000, kMinShares, kMaxShares);
}

int64_t cpu_quota(int64_t milli_cpu, CpuQuotas quotas) {
  return milli_cpu == 0 || !quotas.enforced ? 0 : std::max(milli_cpu * quotas.period / 1000, kMinQuota);
}

int64_t oom_score_adj(const kube::Pod& pod, const kube::Container& container, int64_t memory_capacity) {
  auto qos = kube::qos_class(pod);
  if (qos == kube::QosClass::guaranteed || pod.spec.priority_class_name == kNodeCritical) {
    return kGuaranteedScore;
  }
  if (qos == kube::QosClass::best_effort) {
    return 1000;
  }
  const auto rest = share_of_rest(pod);
  auto score = burstable_score(whole_of(container.resources.requests, "memory") + rest, memory_capacity);
  if (container.is_sidecar()) {
    auto least = std::numeric_limits<int64_t>::max();
    for (const auto& main : pod.spec.containers) {
      least = std::min(least, whole_of(main.resources.requests, "memory"));
    }
    score = std::min(score, burstable_score(least + rest, memory_capacity));
  }
  return score;
}

bool may_swap(const kube::Pod& pod, const kube::Container& container) {
  const auto request = whole_of(container.resources.requests, "memory");
  return !is_critical(pod) && kube::qos_class(pod) == kube::QosClass::burstable &&
         request != whole_of(container.resources.limits, "memory");
}

ObservedResources resources_for(const kube::Pod& pod, const kube::Container& container, CpuQuotas quotas) {
  const auto all =
      cpu_and_memory(container.resources.requests, kube::limits_in_pod(pod, container), {.quotas = quotas});
  return {.cpu_shares = all.cpu_shares,
          .cpu_quota = all.cpu_quota,
          .cpu_period = all.cpu_period,
          .memory_limit = all.memory_limit_bytes};
}

cri::LinuxResources container_resources(const kube::Pod& pod, const kube::Container& container,
                                        const NodeCgroups& node) {
  const auto limits = kube::limits_in_pod(pod, container);
  auto out = cpu_and_memory(container.resources.requests, limits, node);
  out.oom_score_adj = oom_score_adj(pod, container, node.memory);
  for (const auto& [size, bytes] : huge_pages_of(limits, node)) {
    out.hugepage_limits[size] = std::to_string(bytes);
  }
  if (node.counts_swap && node.unified) {
    out.unified["memory.swap.max"] = std::to_string(swap_for(pod, container, node));
  } else if (node.counts_swap) {
    out.memory_swap_limit_bytes = out.memory_limit_bytes;  // memory and swap together
  }
  return out;
}

cri::LinuxResources sandbox_resources(const kube::Pod& pod, const NodeCgroups& node) {
  return cpu_and_memory(kube::pod_requests(pod, kube::Overhead::left_out),
                        kube::pod_limits(pod, kube::Overhead::left_out), node);
}

cri::LinuxResources overhead_resources(const kube::Pod& pod, const NodeCgroups& node) {
  return pod.spec.overhead.empty() ? cri::LinuxResources() : cpu_and_memory(pod.spec.overhead, pod.spec.overhead, node);
}

int64_t requested_milli_cpu(const kube::Pod& pod) {
  return milli_of(kube::pod_requests(pod), "cpu");
}

PodCgroupLimits pod_limits_of(const kube::Pod& pod, const NodeCgroups& node) {
  PodCgroupLimits out;
  out.cpu_period = node.quotas.period;
  auto requests = kube::pod_requests(pod);
  for (const auto& [size, bytes] : huge_pages_of(requests, node)) {
    out.huge_pages.push_back({.page_size = size, .bytes = static_cast<uint64_t>(bytes)});
  }
  if (kube::qos_class(pod) == kube::QosClass::best_effort) {
    return out;
  }
  auto limits = kube::pod_limits(pod);
  out.cpu_shares = cpu_shares(milli_of(requests, "cpu"));
  if (kube::all_limited(pod, "cpu")) {
    out.cpu_quota = cpu_quota(milli_of(limits, "cpu"), node.quotas);
  }
  if (kube::all_limited(pod, "memory")) {
    out.memory_limit = whole_of(limits, "memory");
  }
  return out;
}

cgroup::Limits limits_of(const kube::ResourceList& amounts, bool compressible) {
  cgroup::Limits out;
  if (amounts.contains("cpu")) {
    out.cpu_shares = cpu_shares(milli_of(amounts, "cpu"));
  }
  if (!compressible) {
    out.memory = whole_of(amounts, "memory");
    out.processes = whole_of(amounts, "pid");
    for (const auto& [name, amount] : amounts) {
      if (name.starts_with(kHugePages)) {
        out.huge_pages.push_back({page_size(name), static_cast<uint64_t>(amount.whole())});
      }
    }
  }
  return out;
}

std::string pod_cgroup(cgroup::Driver driver, const std::string& root, const kube::Pod& pod) {
  const auto name = "pod" + pod.metadata.uid;
  switch (kube::qos_class(pod)) {
    case kube::QosClass::guaranteed:
      break;
    case kube::QosClass::burstable:
      return cgroup::nested_path(driver, {root, "kubepods", "burstable", name});
    case kube::QosClass::best_effort:
      return cgroup::nested_path(driver, {root, "kubepods", "besteffort", name});
  }
  return cgroup::nested_path(driver, {root, "kubepods", name});
}

}  // namespace keelson::agent
