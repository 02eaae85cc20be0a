// SPDX-License-Identifier: Apache-2.0
// What a pod has on the node, made and taken away: volumes, cgroup, folders.
#include <algorithm>
#include <filesystem>

#include "agent/config/node_pod_configs_state.h"
#include "agent/config/resources.h"
#include "common/fd.h"
#include "common/log.h"
#include "kube/pod_qos.h"

namespace keelson::agent {

namespace fs = std::filesystem;

/// Volumes of running pods follow their objects; what fails now is told when the pod is prepared next.
void NodePodConfigs::State::refresh_volumes(const kube::Pod& pod) {
  auto turn = works.of(pod.metadata.uid);
  auto work = [this, turn, cleanings = turn->cleanings.load(), pod = with_used_volumes(pod), now = objects,
               facts = node, ips = addresses[pod.metadata.uid], own = tokens[pod.metadata.uid]] {
    auto lock = take_turn(*turn, cleanings, pod.metadata.uid);
    auto done = lock ? volumes.refresh(pod, *now, *facts, ips, own.get()) : std::unexpected(lock.error());
    if (!done && done.error().kind() != Kind::cancelled) {
      log::warning("pod {}: {}", kube::full_name(pod.metadata), done.error().message());
    }
  };
  asio::post(pool, work);
}

/// All Burstable pods together weigh what they ask for together.
void NodePodConfigs::State::share_cpu() {
  int64_t milli_cpu = 0;
  for (const auto& [uid, pod] : pods) {
    if (kube::qos_class(pod) == kube::QosClass::burstable) {
      milli_cpu += requested_milli_cpu(pod);
    }
  }
  if (auto set = cgroups.set_burstable(cpu_shares(milli_cpu)); !set) {
    log::warning("share the CPU between classes of pods: {}", set.error().message());
  }
}

/// What volumes others have a hand in, before all else: they may take long, and hang.
Task<> NodePodConfigs::State::mount_storage(kube::Pod pod) {
  const auto wanted = std::ranges::find_if(pod.spec.volumes, is_of_storage);
  if (wanted == pod.spec.volumes.end()) {
    co_return Result<>();
  }
  if (storage == nullptr) {
    co_return std::unexpected(mount_error(
        Error(Kind::unsupported, "claims, CSI drivers and NFS need a control plane, and this node has none"),
        wanted->name));
  }
  const auto uid = pod.metadata.uid;
  KEELSON_CO_TRY(auto given, co_await storage->mount(std::move(pod)));
  mounted[uid] = std::move(given);
  co_return Result<>();
}

/// What the pod wants for itself, before all else: it may not be had.
Task<> NodePodConfigs::State::allot(kube::Pod pod) {
  for (auto* allotter : allotters) {
    KEELSON_CO_TRY(const auto refusal, co_await allotter->allot(pod));
    if (refusal) {
      refused(pod, *refusal);
      co_return fail(Kind::exhausted, "{}", refusal->message);
    }
  }
  co_return Result<>();
}

Task<> NodePodConfigs::prepare(kube::Pod pod) {
  auto* s = state_.get();
  auto turn = s->works.of(pod.metadata.uid);
  const uint64_t before = turn->cleanings.load();
  KEELSON_CO_DO(co_await s->allot(pod));
  if (turn->cleanings != before) {
    co_return fail(Kind::cancelled, "pod {} has gone", pod.metadata.uid);
  }
  if (s->inputs != nullptr) {
    KEELSON_CO_TRY(auto given, co_await s->inputs->provide(pod));
    if (turn->cleanings != before) {
      co_return fail(Kind::cancelled, "pod {} has gone", pod.metadata.uid);
    }
    s->tokens[pod.metadata.uid] = std::make_shared<const TokenMap>(std::move(given));
  }
  const auto mounting = with_used_volumes(pod);
  for (const auto& volume : mounting.spec.volumes) {
    if (const auto plugin = volume_plugin(volume); !plugin.empty()) {
      s->options.volume_stats->wanted(pod.metadata.uid, volume.name, plugin);
    }
  }
  KEELSON_CO_DO(co_await s->mount_storage(mounting));
  if (turn->cleanings != before) {
    co_return fail(Kind::cancelled, "pod {} has gone", pod.metadata.uid);
  }
  auto limits = s->limits_of_pod(pod);
  limits.processes = s->options.pod_pids_limit;
  auto objects = s->objects;
  auto own_tokens = s->tokens[pod.metadata.uid];
  auto work = [s, turn, cleanings = before, pod, mounting, limits, objects, facts = s->node,
               ips = s->addresses[pod.metadata.uid], own = own_tokens]() -> Result<> {
    KEELSON_TRY(auto lock, take_turn(*turn, cleanings, pod.metadata.uid));
    KEELSON_DO(s->cgroups.create(pod, limits));
    KEELSON_DO(make_directories(log_dir_of(s->options, pod.metadata)));
    KEELSON_DO(s->volumes.mount_all(mounting, *objects, *facts, ips, own.get()));
    if (!pod.spec.host_users.value_or(true)) {
      KEELSON_DO(s->users.acquire(pod.metadata.uid));
    }
    return {};
  };
  KEELSON_CO_DO(co_await blocking(s->pool, work));
  if (objects != s->objects || own_tokens != s->tokens[pod.metadata.uid]) {
    s->refresh_volumes(pod);
  }
  s->pods[pod.metadata.uid] = std::move(pod);
  s->share_cpu();
  co_return Result<>();
}

Task<> NodePodConfigs::resize(kube::Pod pod, Resizing when) {
  auto* s = state_.get();
  auto known = s->pods.find(pod.metadata.uid);
  if (known != s->pods.end() && known->second.spec == pod.spec) {
    co_return Result<>();
  }
  auto turn = s->works.of(pod.metadata.uid);
  auto work = [s, turn, cleanings = turn->cleanings.load(), pod, limits = s->limits_of_pod(pod), when]() -> Result<> {
    KEELSON_TRY(auto lock, take_turn(*turn, cleanings, pod.metadata.uid));
    return s->cgroups.resize(pod, limits, when);
  };
  KEELSON_CO_DO(co_await blocking(s->pool, work));
  known = s->pods.find(pod.metadata.uid);
  if (when == Resizing::after_containers && known != s->pods.end()) {
    known->second.spec = pod.spec;
    s->share_cpu();
    s->refresh_volumes(known->second);  // some tell a container its resources
  }
  co_return Result<>();
}

/// Nothing of the pod is brought up to date any more.
void NodePodConfigs::State::forget(const std::string& uid) {
  pods.erase(uid);
  addresses.erase(uid);
  tokens.erase(uid);
  mounted.erase(uid);
  if (inputs != nullptr) {
    inputs->forget(uid);
  }
  for (auto* allotter : allotters) {
    allotter->release(uid);
  }
  share_cpu();
}

/// Takes away what a pod has: `work` in the pod's turn, once storage has what is its own.
Task<> NodePodConfigs::State::take_away(std::string uid, std::function<Result<>()> work) {
  forget(uid);
  options.volume_stats->unwanted(uid);
  auto turn = works.of(uid);
  const uint64_t cleanings = ++turn->cleanings;
  if (storage != nullptr) {
    KEELSON_CO_DO(co_await storage->unmount(uid));
  }
  auto in_turn = [turn, cleanings, uid, work = std::move(work)]() -> Result<> {
    KEELSON_TRY(auto lock, take_turn(*turn, cleanings, uid));
    return work();
  };
  KEELSON_CO_DO(co_await blocking(pool, in_turn));
  options.volume_stats->gone(uid);
  co_return Result<>();
}

Task<> NodePodConfigs::release(kube::Pod pod) {
  return state_->take_away(pod.metadata.uid, [s = state_.get(), uid = pod.metadata.uid]() -> Result<> {
    KEELSON_DO(s->volumes.remove_volumes(uid));
    return s->cgroups.remove(uid);
  });
}

Task<> NodePodConfigs::clean_up(kube::Pod pod) {
  return state_->take_away(pod.metadata.uid, [s = state_.get(), uid = pod.metadata.uid]() -> Result<> {
    KEELSON_DO(s->volumes.remove_all(uid));
    s->users.release(uid);
    KEELSON_DO(s->cgroups.remove(uid));
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(s->options.pod_logs_dir, ignored)) {
      if (entry.path().filename().string().ends_with("_" + uid)) {
        KEELSON_DO(remove_tree(entry.path()));
      }
    }
    s->links.remove_pod(uid);
    return {};
  });
}

}  // namespace keelson::agent
