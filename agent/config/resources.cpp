// SPDX-License-Identifier: Apache-2.0
// The kubelet's arithmetic.
#include "agent/config/resources.h"

#include <unistd.h>

#include <algorithm>
#include <limits>

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
  auto size = resource.substr(kHugePages.size());
  size.back() = 'B';
  return size;
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
  auto score = burstable_score(whole_of(container.resources.requests, "memory"), memory_capacity);
  if (container.is_sidecar()) {
    auto least = std::numeric_limits<int64_t>::max();
    for (const auto& main : pod.spec.containers) {
      least = std::min(least, whole_of(main.resources.requests, "memory"));
    }
    score = std::min(score, burstable_score(least, memory_capacity));
  }
  return score;
}

ObservedResources resources_for(const kube::Container& container, CpuQuotas quotas) {
  const auto& limits = container.resources.limits;
  const auto& requests = container.resources.requests;
  return {.cpu_shares = cpu_shares(requests.contains("cpu") ? milli_of(requests, "cpu") : milli_of(limits, "cpu")),
          .cpu_quota = cpu_quota(milli_of(limits, "cpu"), quotas),
          .cpu_period = quotas.period,
          .memory_limit = whole_of(limits, "memory")};
}

cri::LinuxResources container_resources(const kube::Pod& pod, const kube::Container& container, int64_t memory_capacity,
                                        CpuQuotas quotas) {
  const auto own = resources_for(container, quotas);
  cri::LinuxResources out;
  out.cpu_shares = own.cpu_shares;
  out.cpu_period = own.cpu_period;
  out.cpu_quota = own.cpu_quota;
  out.memory_limit_bytes = own.memory_limit;
  out.oom_score_adj = oom_score_adj(pod, container, memory_capacity);
  for (const auto& [name, amount] : container.resources.limits) {
    if (name.starts_with(kHugePages)) {
      out.hugepage_limits[page_size(name)] = std::to_string(amount.whole());
    }
  }
  return out;
}

int64_t requested_milli_cpu(const kube::Pod& pod) {
  return milli_of(kube::pod_requests(pod), "cpu");
}

PodCgroupLimits pod_limits_of(const kube::Pod& pod, CpuQuotas quotas) {
  PodCgroupLimits out;
  out.cpu_period = quotas.period;
  if (kube::qos_class(pod) == kube::QosClass::best_effort) {
    return out;
  }
  auto requests = kube::pod_requests(pod);
  auto limits = kube::pod_limits(pod);
  out.cpu_shares = cpu_shares(milli_of(requests, "cpu"));
  if (kube::all_limited(pod, "cpu")) {
    out.cpu_quota = cpu_quota(milli_of(limits, "cpu"), quotas);
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

int64_t memory_capacity() {
  return static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE);
}

}  // namespace keelson::agent
