// SPDX-License-Identifier: Apache-2.0
#include "agent/cpus/cpu_manager.h"

#include <fmt/format.h>

#include <algorithm>

#include "common/log.h"
#include "kube/meta.h"

namespace keelson::cpus {

namespace {

constexpr const char* kNone = "none";
constexpr const char* kStatic = "static";
constexpr int64_t kMilli = 1000;

/// As Go prints a map.
std::string printed(const std::map<std::string, std::string>& options) {
  std::string list;
  for (const auto& [name, value] : options) {
    list += fmt::format("{}{}:{}", list.empty() ? "" : " ", name, value);
  }
  return "map[" + list + "]";
}

}  // namespace

CpuManager::CpuManager(Loop& loop, cri::RuntimeClient& runtime, Topology machine, CpuManagerOptions options)
    : loop_(loop),
      runtime_(runtime),
      machine_(std::move(machine)),
      options_(std::move(options)),
      file_(options_.root + "/cpu_manager_state"),
      woken_(loop.io()) {
  woken_.expires_at(asio::steady_timer::time_point::max());
}

Result<std::unique_ptr<CpuManager>> CpuManager::make(Loop& loop, cri::RuntimeClient& runtime, Topology machine,
                                                     CpuManagerOptions options) {
  const auto online = machine.cpus();
  if (!options.reserved.is_within(online)) {
    return fail(Kind::invalid, "reservedSystemCPUs: reserved-cpus: {} is not a subset of online-cpus: {}",
                options.reserved.to_string(), online.to_string());
  }
  if (options.policy != kNone && options.policy != kStatic) {
    return fail(Kind::invalid, "cpuManagerPolicy: unknown policy: \"{}\"", options.policy);
  }
  StaticOptions heeded;
  if (options.policy == kStatic) {
    KEELSON_TRY(heeded, parse_static_options(options.policy_options, options.gates)
                            .context("cpuManagerPolicyOptions: new static policy error"));
  } else if (!options.policy_options.empty()) {
    return fail(Kind::invalid,
                "cpuManagerPolicyOptions: new none policy error: None policy: received unsupported options={}",
                printed(options.policy_options));
  }
  std::unique_ptr<CpuManager> manager(new CpuManager(loop, runtime, std::move(machine), std::move(options)));
  KEELSON_DO(manager->start(heeded));
  return manager;
}

Result<> CpuManager::start(StaticOptions options) {
  if (options_.policy == kStatic) {
    // No machine has so many, whatever the settings say.
    const auto milli = std::min(options_.reserved_milli, kMilli * CpuSet::kMost);
    const auto count = static_cast<int>((milli + kMilli - 1) / kMilli);
    KEELSON_TRY(policy_,
                StaticPolicy::make(machine_, options, options_.reserved, count).context("cpuManagerPolicy: static"));
    log::info("CPU manager: CPUs {} are for the system, {} can be given", policy_->reserved().to_string(),
              policy_->allocatable().to_string());
  }
  adopt(load_state(file_));
  return store(state_);
}

/// What an earlier run, or a kubelet, has left.
void CpuManager::adopt(Result<std::optional<CpuState>> found) {
  const bool shared = policy_.has_value();
  const auto state = found ? *std::move(found) : std::optional<CpuState>();
  state_ = shared ? policy_->fresh() : CpuState{.policy = kNone, .shared = {}, .own = {}};
  seek_running_ = shared && (!state || state->policy != kStatic);
  give_all_back_ = !shared && (!found || (state && state->policy != kNone));
  const char* then = shared ? "who has which CPUs is asked of the runtime" : "containers get all CPUs back";
  if (!found) {
    log::warning("{}: could not restore state from checkpoint: {}; it is written anew, and {}", file_,
                 found.error().message(), then);
  } else if (state && state->policy != options_.policy) {
    log::warning("{}: configured policy \"{}\" differs from state checkpoint policy \"{}\"; it is written anew, and {}",
                 file_, options_.policy, state->policy, then);
  } else if (state && shared && (!state->shared.empty() || !state->own.empty())) {
    state_ = *state;
    for (const auto& wrong : policy_->mend(state_)) {
      log::warning("{}: {}; what fits stays, the rest is given anew", file_, wrong);
    }
    for (const auto& [pod, containers] : state_.own) {
      unclaimed_.insert(pod);
    }
  }
}

/// On disk first. What the file could not take is written with the next change or look.
Result<> CpuManager::store(CpuState state) {
  auto saved = save_state(file_, state);
  unsaved_ = !saved;
  if (saved) {
    keep(std::move(state));
  }
  return saved;
}

void CpuManager::keep(CpuState state) {
  changed_ = changed_ || state != state_;
  state_ = std::move(state);
  if (changed_) {
    wake();
  }
}

void CpuManager::objects_changed(const kube::DesiredState& state) {
  wanted_.clear();
  all_wanted_known_ = state.complete;
  if (!policy_) {
    return;
  }
  for (const auto& [name, pod] : state.pods) {
    auto& counts = wanted_[pod.metadata.uid];
    for (const auto* list : {&pod.spec.init_containers, &pod.spec.containers}) {
      for (const auto& container : *list) {
        if (const int count = own_cpus_wanted(pod, container); count > 0) {
          counts[container.name] = count;
        }
      }
    }
  }
}

Task<std::optional<agent::AllotmentRefusal>> CpuManager::allot(kube::Pod pod) {
  std::optional<agent::AllotmentRefusal> refusal;
  if (!policy_) {
    co_return refusal;
  }
  unclaimed_.erase(pod.metadata.uid);
  KEELSON_CO_DO(co_await remember_running());
  CpuState changed = state_;
  refusal = policy_->allocate(changed, pod);
  if (!refusal && changed != state_) {
    KEELSON_CO_DO(store(std::move(changed)));
    for (const auto& [container, cpus] : state_.own[pod.metadata.uid]) {
      log::info("pod {}: container {} has CPUs {} for itself", kube::full_name(pod.metadata), container,
                cpus.to_string());
    }
  }
  co_return refusal;
}

agent::ContainerAllotment CpuManager::of(const kube::Pod& pod, const std::string& container) const {
  agent::ContainerAllotment given;
  if (policy_) {
    const auto own = cpus_of(pod.metadata.uid, container);
    given.own_cpus = !own.empty();
    given.cpus = (given.own_cpus ? own : state_.shared).to_string();
  }
  return given;
}

void CpuManager::release(const std::string& uid) {
  unclaimed_.erase(uid);
  if (!policy_ || !state_.own.contains(uid)) {
    return;
  }
  CpuState changed = state_;
  policy_->release(changed, uid);
  if (auto stored = store(changed); !stored) {
    log::warning("{}; pod {} has ended, and its CPUs are shared", stored.error().message(), uid);
    keep(std::move(changed));
  }
}

CpuSet CpuManager::cpus_of(const std::string& uid, const std::string& container) const {
  const auto pod = state_.own.find(uid);
  if (pod == state_.own.end()) {
    return {};
  }
  const auto found = pod->second.find(container);
  return found == pod->second.end() ? CpuSet() : found->second;
}

CpuSet CpuManager::allocatable_cpus() const {
  return policy_ ? policy_->allocatable() : CpuSet();
}

void CpuManager::collect(Stats& stats) const {
  policy_ ? policy_->collect(state_, stats) : StaticPolicy::collect_none(stats);
}

}  // namespace keelson::cpus
