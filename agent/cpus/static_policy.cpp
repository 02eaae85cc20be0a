// SPDX-License-Identifier: Apache-2.0
#include "agent/cpus/static_policy.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/cpus/assignment.h"
#include "kube/pod_qos.h"

namespace keelson::cpus {

namespace {

using agent::AllotmentRefusal;

CpuSet all_of(const Assignments& own) {
  CpuSet all;
  for (const auto& [pod, containers] : own) {
    for (const auto& [container, cpus] : containers) {
      all = all | cpus;
    }
  }
  return all;
}

/// As the kubelet's admission says what it did not foresee.
AllotmentRefusal unexpected(const Error& error) {
  return {.reason = "UnexpectedAdmissionError",
          .message = fmt::format("Allocate failed due to {}, which is unexpected", error.message())};
}

/// What is told with each policy.
struct Pinning {
  uint64_t requests = 0;
  uint64_t errors = 0;
  int shared = 0;
  int own = 0;
};

void tell(const Pinning& pinning, Stats& stats) {
  constexpr int kMilli = 1000;
  stats.counter("kubelet_cpu_manager_pinning_requests_total",
                "[ALPHA] The number of cpu core allocations which required pinning.",
                static_cast<double>(pinning.requests));
  stats.counter("kubelet_cpu_manager_pinning_errors_total",
                "[ALPHA] The number of cpu core allocations which required pinning failed.",
                static_cast<double>(pinning.errors));
  stats.gauge("kubelet_cpu_manager_shared_pool_size_millicores",
              "[ALPHA] The size of the shared CPU pool for non-guaranteed QoS pods, in millicores.",
              pinning.shared * kMilli);
  stats.gauge("kubelet_cpu_manager_exclusive_cpu_allocation_count",
              "[ALPHA] The total number of CPUs exclusively allocated to containers running on this node", pinning.own);
}

std::string in_pod(const std::string& pod, const std::string& container, const CpuSet& cpus) {
  return fmt::format("pod: {}, container: {} cpuset: \"{}\"", pod, container, cpus.to_string());
}

}  // namespace

/// What an init container leaves to those after it, a sidecar does not.
struct StaticPolicy::Asked {
  const std::string& uid;
  const kube::Container& container;
  int count = 0;
  bool ends = false;  ///< It is an init container that ends before others begin.
  CpuSet& reusable;
};

int own_cpus_wanted(const kube::Pod& pod, const kube::Container& container) {
  if (kube::qos_class(pod) != kube::QosClass::guaranteed || kube::has_pod_level(pod)) {
    return 0;
  }
  const auto& resources = container.resources;
  const auto& list = resources.requests.contains("cpu") ? resources.requests : resources.limits;
  const auto cpu = list.find("cpu");
  const int64_t milli = cpu == list.end() ? 0 : cpu->second.milli();
  return milli % 1000 == 0 && milli / 1000 <= CpuSet::kMost ? static_cast<int>(milli / 1000) : 0;
}

Result<StaticPolicy> StaticPolicy::make(Topology machine, StaticOptions options, CpuSet reserved, int reserved_count) {
  KEELSON_DO(check_machine(options, machine));
  StaticPolicy policy(std::move(machine), options);
  policy.reserved_ = std::move(reserved);
  if (policy.reserved_.empty()) {
    if (reserved_count <= 0) {
      return fail(Kind::invalid,
                  "[cpumanager] the static policy requires systemreserved.cpu + kubereserved.cpu to be greater than "
                  "zero");
    }
    policy.reserved_ = policy.take(policy.machine_.cpus(), reserved_count).value_or(CpuSet());
    if (policy.reserved_.size() != reserved_count) {
      return fail(Kind::invalid,
                  "[cpumanager] unable to reserve the required amount of CPUs (size of {} did not equal {})",
                  policy.reserved_.to_string(), reserved_count);
    }
  }
  const auto& all = policy.machine_;
  const auto cores = all.only(policy.reserved_).ids(&CpuPlace::core);
  policy.reserved_cores_ = all.cpus_in(&CpuPlace::core, cores);
  return policy;
}

CpuSet StaticPolicy::allocatable() const {
  return machine_.cpus() - reserved_;
}

/// All that may be shared.
CpuSet StaticPolicy::pool() const {
  return options_.strict_reservation ? allocatable() : machine_.cpus();
}

CpuState StaticPolicy::fresh() const {
  return {.policy = "static", .shared = pool(), .own = {}};
}

std::vector<std::string> StaticPolicy::mend(CpuState& state) const {
  std::vector<std::string> wrong;
  const auto known = state.shared | all_of(state.own);
  if (const auto strictly = reserved_ & state.shared; options_.strict_reservation && !strictly.empty()) {
    wrong.push_back(fmt::format("some of strictly reserved cpus: \"{}\" are present in defaultCpuSet: \"{}\"",
                                strictly.to_string(), state.shared.to_string()));
  } else if (!options_.strict_reservation && !reserved_.is_within(state.shared)) {
    wrong.push_back(fmt::format("not all reserved cpus: \"{}\" are present in defaultCpuSet: \"{}\"",
                                reserved_.to_string(), state.shared.to_string()));
  }
  if (known != pool()) {
    wrong.push_back(fmt::format("current set of available CPUs \"{}\" doesn't match with CPUs in state \"{}\"",
                                pool().to_string(), known.to_string()));
  }
  CpuState mended = fresh();
  for (const auto& [pod, containers] : state.own) {
    const auto others = all_of(mended.own);  // a pod's own init containers may have the same as its others
    for (const auto& [container, cpus] : containers) {
      if (cpus.meets(state.shared)) {
        wrong.push_back(fmt::format("{} overlaps with default cpuset \"{}\"", in_pod(pod, container, cpus),
                                    state.shared.to_string()));
      }
      if (cpus.empty() || !cpus.is_within(allocatable()) || cpus.meets(others)) {
        wrong.push_back(fmt::format("{} is not to be had", in_pod(pod, container, cpus)));
        continue;
      }
      mended.own[pod][container] = cpus;
    }
  }
  mended.shared = mended.shared - all_of(mended.own);
  state = std::move(mended);
  return wrong;
}

Result<CpuSet> StaticPolicy::take(const CpuSet& available, int count) const {
  const auto threads = options_.across_cores ? Threads::spread : Threads::packed;
  if (options_.across_numa) {
    const int group = options_.full_cores ? std::max(machine_.cpus_per_core(), 1) : 1;
    return take_distributed(machine_, available, count, group, threads);
  }
  return take_packed(machine_, available, count, threads, options_.by_uncore ? Caches::preferred : Caches::any);
}

std::optional<AllotmentRefusal> StaticPolicy::check_cores(const CpuState& state, const CpuSet& reusable,
                                                          int count) const {
  constexpr const char* kReason = "SMTAlignmentError";
  const int per_core = std::max(machine_.cpus_per_core(), 1);
  if (count % per_core != 0) {
    return AllotmentRefusal{
        kReason,
        fmt::format("SMT Alignment Error: requested {} cpus not multiple cpus per core = {}", count, per_core)};
  }
  // Those beside a reserved one are not whole cores. What init containers leave counts, which the kubelet forgets.
  const int free = ((state.shared - reserved_cores_) | reusable).size();
  if (count > free) {
    return AllotmentRefusal{kReason,
                            fmt::format("SMT Alignment Error: not enough free physical CPUs: available physical CPUs = "
                                        "{}, requested CPUs = {}, CPUs per core = {}",
                                        free, count, per_core)};
  }
  return std::nullopt;
}

std::optional<AllotmentRefusal> StaticPolicy::allocate_container(CpuState& state, const Asked& asked) {
  const auto leave = [&](const CpuSet& cpus) {
    asked.reusable = asked.ends ? asked.reusable | cpus : asked.reusable - cpus;
  };
  auto& own = state.own[asked.uid];
  // What it has it keeps, before any other question: a kubelet that starts again looks for whole cores first, and may
  // refuse a pod for want of those that the pod itself has.
  if (const auto has = own.find(asked.container.name); has != own.end()) {
    leave(has->second);
    return std::nullopt;
  }
  ++requests_;
  auto refusal = options_.full_cores ? check_cores(state, asked.reusable, asked.count) : std::nullopt;
  auto cpus = refusal ? Result<CpuSet>(CpuSet()) : take((state.shared - reserved_) | asked.reusable, asked.count);
  if (!cpus) {
    refusal = unexpected(cpus.error());
  }
  if (refusal) {
    ++errors_;
    no_whole_cores_ += options_.full_cores ? 1 : 0;
    return refusal;
  }
  whole_cores_ += options_.full_cores ? 1 : 0;
  one_cache_ += machine_.aligned_at_uncore(*cpus) ? 1 : 0;
  own[asked.container.name] = *cpus;
  state.shared = state.shared - *cpus;
  leave(*cpus);
  return std::nullopt;
}

std::optional<AllotmentRefusal> StaticPolicy::allocate(CpuState& state, const kube::Pod& pod) {
  CpuState changed = state;
  const auto& uid = pod.metadata.uid;
  CpuSet reusable;
  for (const auto* list : {&pod.spec.init_containers, &pod.spec.containers}) {
    for (const auto& container : *list) {
      const int count = own_cpus_wanted(pod, container);
      if (count == 0) {
        continue;
      }
      const bool ends = list == &pod.spec.init_containers && !container.is_sidecar();
      if (auto refusal = allocate_container(changed, {uid, container, count, ends, reusable})) {
        return refusal;
      }
    }
  }
  state = std::move(changed);
  return std::nullopt;
}

bool StaticPolicy::give(CpuState& state, const std::string& uid, const std::string& container,
                        const CpuSet& cpus) const {
  if (cpus.empty() || !cpus.is_within(state.shared - reserved_)) {
    return false;
  }
  state.own[uid][container] = cpus;
  state.shared = state.shared - cpus;
  return true;
}

void StaticPolicy::release(CpuState& state, const std::string& uid) const {
  const auto pod = state.own.find(uid);
  if (pod == state.own.end()) {
    return;
  }
  for (const auto& [container, cpus] : pod->second) {
    state.shared = state.shared | cpus;
  }
  state.own.erase(pod);
}

void StaticPolicy::collect_none(Stats& stats) {
  tell({}, stats);
}

void StaticPolicy::collect(const CpuState& state, Stats& stats) const {
  const auto own = all_of(state.own);
  tell({requests_, errors_, (state.shared - reserved_).size(), own.size()}, stats);
  const auto places = machine_.only(own);
  nodes_told_ = nodes_told_ | places.ids(&CpuPlace::numa);
  for (const int node : nodes_told_) {
    stats.gauge("kubelet_cpu_manager_allocation_per_numa", "[ALPHA] Number of CPUs allocated per NUMA node",
                places.cpus_in(&CpuPlace::numa, node).size(), {{"numa_node", std::to_string(node)}});
  }
  const auto aligned = [&](const char* boundary, uint64_t count) {
    stats.counter("kubelet_container_aligned_compute_resources_count",
                  "[ALPHA] Cumulative number of aligned compute resources allocated to containers by alignment type.",
                  static_cast<double>(count), {{"boundary", boundary}, {"scope", "container"}});
  };
  aligned("physical_cpu", whole_cores_);
  aligned("uncore_cache", one_cache_);
  stats.counter("kubelet_container_aligned_compute_resources_failure_count",
                "[ALPHA] Cumulative number of failures to allocate aligned compute resources to containers by "
                "alignment type.",
                static_cast<double>(no_whole_cores_), {{"boundary", "physical_cpu"}, {"scope", "container"}});
}

}  // namespace keelson::cpus
