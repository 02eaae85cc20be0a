// SPDX-License-Identifier: Apache-2.0
// Two sides of a pod, and the request that makes them one.
#include "agent/cluster/status_manager.h"

#include <algorithm>
#include <charconv>

#include <boost/json/parse.hpp>

#include "agent/critical_pod.h"
#include "common/log.h"
#include "kube/codec.h"
#include "kube/status_patch.h"

namespace keelson::agent {

namespace json = boost::json;

namespace {

constexpr size_t kAtOnce = 8;
/// Twice this, with the jitter, and the request itself are below the 5 s within which a status is to be right.
constexpr std::chrono::seconds kAwayWait{1};
constexpr std::chrono::milliseconds kMostWait{2'000};
/// Most pods have started, or ended, by then: one request instead of three.
constexpr std::chrono::milliseconds kHold{500};

/// Versions count up; one that is no number is as new as any.
uint64_t version_of(const kube::ObjectMeta& meta) {
  uint64_t version = UINT64_MAX;
  const auto& text = meta.resource_version;
  std::from_chars(text.data(), text.data() + text.size(), version);
  return version;
}

/// Whether all that `part` says is said in `whole`, too.
bool is_part(const json::value& part, const json::value& whole) {
  if (part.is_object() && whole.is_object()) {
    return std::ranges::all_of(part.as_object(), [&](const auto& member) {
      const auto* other = whole.as_object().if_contains(member.key());
      return other != nullptr && is_part(member.value(), *other);
    });
  }
  if (part.is_array() && whole.is_array()) {
    return std::ranges::all_of(part.as_array(), [&](const auto& item) {
      return std::ranges::any_of(whole.as_array(), [&](const auto& other) { return is_part(item, other); });
    });
  }
  return part == whole;
}

}  // namespace

StatusManager::StatusManager(Loop& loop, ApiCall call, uint64_t seed)
    : loop_(loop), call_(std::move(call)), random_(seed), tasks_(loop) {}

void StatusManager::api_has(const kube::Pod& pod) {
  const auto key = kube::full_name(pod.metadata);
  Entry& entry = entries_[key];
  entry.ns = pod.metadata.ns;
  entry.name = pod.metadata.name;
  const auto mirror = pod.metadata.annotations.find(kMirrorAnnotation);
  ApiSide side{.uid = pod.metadata.uid,
               .mirror_of = mirror == pod.metadata.annotations.end() ? "" : mirror->second,
               .version = version_of(pod.metadata),
               .status = pod.status,
               .deleting = pod.metadata.deletion_timestamp.has_value()};
  if (entry.api && entry.api->uid == side.uid) {
    if (side.version < entry.api->version) {
      return;
    }
    side.deleted = entry.api->deleted;
    side.untaken = entry.api->untaken;
  }
  entry.api = std::move(side);
  look_at(key);
}

void StatusManager::api_lost(const std::string& full_name, const std::string& uid) {
  auto it = entries_.find(full_name);
  if (it == entries_.end() || (!uid.empty() && it->second.api && it->second.api->uid != uid)) {
    return;
  }
  it->second.api.reset();
  if ((!it->second.ours || it->second.ours->gone) && !it->second.busy) {
    entries_.erase(it);
  }
}

void StatusManager::says(const kube::Pod& pod, bool gone) {
  const auto key = kube::full_name(pod.metadata);
  Entry& entry = entries_[key];
  entry.ns = pod.metadata.ns;
  entry.name = pod.metadata.name;
  if (!entry.changed && (!entry.ours || entry.ours->status != pod.status)) {
    entry.changed = loop_.clock().steady();
  }
  entry.ours = OurSide{.uid = pod.metadata.uid, .status = pod.status, .gone = gone};
  if (gone && !entry.api && !entry.busy) {
    entries_.erase(key);
    return;
  }
  look_at(key);
}

/// What we say; a start that has been told once stays, for what is left on the node may no longer show it.
kube::PodStatus StatusManager::status_to_tell(const Entry& entry) {
  kube::PodStatus status = entry.ours->status;
  if (entry.api->status.start_time) {
    status.start_time = entry.api->status.start_time;
  }
  return status;
}

std::optional<kube::Request> StatusManager::next_request(const Entry& entry) {
  if (!entry.api || !entry.ours || entry.api->deleted) {
    return std::nullopt;
  }
  const ApiSide& api = *entry.api;
  const OurSide& ours = *entry.ours;
  const bool mirror = !api.mirror_of.empty();
  // Another pod of that name; or an end that our worker has not heard of yet.
  if ((mirror ? api.mirror_of : api.uid) != ours.uid || (is_final(api.status.phase) && !is_final(ours.status.phase))) {
    return std::nullopt;
  }
  if (auto patch = kube::status_patch(api.uid, api.status, status_to_tell(entry)); patch && *patch != api.untaken) {
    return kube::patch_request(object_path(entry.ns, "pods", entry.name) + "/status", kube::PatchType::strategic,
                               *std::move(patch));
  }
  if (ours.gone && api.deleting && !mirror) {
    return delete_pod_request(entry.ns, entry.name, api.uid);
  }
  return std::nullopt;
}

bool StatusManager::can_wait(const Entry& entry) {
  const kube::PodStatus& said = entry.ours->status;
  const auto& phase = entry.api->status.phase;
  if (entry.ours->gone) {
    return false;
  }
  if (entry.api->deleting) {
    return true;
  }
  const auto starts = [](const kube::ContainerStatus& container) {
    const auto& waiting = container.state.waiting;
    return waiting && (waiting->reason == "ContainerCreating" || waiting->reason == "PodInitializing");
  };
  return said.phase == kube::PodPhase::pending && phase.value_or(kube::PodPhase::pending) == kube::PodPhase::pending &&
         std::ranges::all_of(said.container_statuses, starts) &&
         std::ranges::all_of(said.init_container_statuses, starts);
}

bool StatusManager::has_news() const {
  return !settled() || std::ranges::any_of(entries_, [](const auto& entry) { return entry.second.holding; });
}

void StatusManager::look_at(const std::string& key) {
  auto it = entries_.find(key);
  if (it == entries_.end() || it->second.busy || it->second.queued || it->second.resting) {
    return;
  }
  Entry& entry = it->second;
  if (!next_request(entry)) {
    if (entry.api) {
      entry.changed.reset();  // the API has it so
    }
    return;
  }
  if (can_wait(entry) && !entry.held) {
    if (!std::exchange(entry.holding, true)) {
      tasks_.spawn("status of pod " + key + " is held", hold(key));
    }
    return;
  }
  entry.held = false;
  entry.queued = true;
  queue_.push_back(key);
  pump();
}

void StatusManager::pump() {
  while (!queue_.empty() && active_ < (away_ ? 1 : kAtOnce) && !waiting_) {
    const auto key = std::move(queue_.front());
    queue_.pop_front();
    auto it = entries_.find(key);
    if (it == entries_.end() || !it->second.queued) {
      continue;  // it is of an entry that has gone; one that came in its place has its own turn
    }
    it->second.queued = false;
    auto request = next_request(it->second);  // as it is now, not as it was when it came into the queue
    if (!request) {
      continue;
    }
    it->second.busy = true;
    ++active_;
    Sent sent{it->second.api->uid, status_to_tell(it->second), request->body, request->method == "DELETE",
              std::exchange(it->second.changed, std::nullopt)};
    tasks_.spawn("status of pod " + key, serve(key, std::move(sent), *std::move(request)));
  }
}

Task<> StatusManager::serve(std::string key, Sent sent, kube::Request request) {
  auto answer = co_await call_(std::move(request), kApiDeadline);
  --active_;
  auto it = entries_.find(key);
  it->second.busy = false;
  if (!answer && answer.error().kind() == Kind::cancelled) {
    co_return std::unexpected(std::move(answer).error());
  }
  if ((answer || !is_away(answer.error())) && std::exchange(away_, false)) {
    back_();
  }
  if (answer) {
    succeeded(key, sent, *answer);
  } else {
    failed(key, sent, answer.error());
  }
  it = entries_.find(key);
  const bool over = it != entries_.end() && !it->second.api && (!it->second.ours || it->second.ours->gone);
  if (over) {
    entries_.erase(it);
  }
  look_at(key);
  pump();
  co_return Result<>();
}

void StatusManager::succeeded(const std::string& key, const Sent& sent, const std::string& body) {
  Entry& entry = entries_.at(key);
  entry.wait = Duration(0);
  if (sent.changed && !sent.deletes) {
    const auto past = std::chrono::floor<std::chrono::milliseconds>(loop_.clock().steady() - *sent.changed);
    waits_.observe(std::chrono::duration<double>(past).count());
  }
  if (!entry.api || entry.api->uid != sent.uid) {
    return;  // it has gone meanwhile
  }
  if (sent.deletes) {
    entry.api->deleted = true;
    return;
  }
  auto pods = kube::decode_pods(body);
  if (pods && pods->size() == 1 && pods->front().metadata.uid == sent.uid) {
    // What is due now and was not sent is what others have changed meanwhile: that is not for the server to know.
    const auto rest = kube::status_patch(sent.uid, pods->front().status, sent.status).value_or("");
    entry.api->untaken = rest.empty() || !is_part(json::parse(rest), json::parse(sent.body)) ? "" : rest;
    api_has(pods->front());
  } else {
    entry.api->status = sent.status;  // the watch will say
  }
}

void StatusManager::failed(const std::string& key, const Sent& sent, const Error& error) {
  Entry& entry = entries_.at(key);
  if (error.kind() == Kind::not_found || is_other_object(error)) {
    if (entry.api && entry.api->uid == sent.uid) {
      entry.api.reset();
    }
    return;
  }
  entry.changed = sent.changed ? sent.changed : entry.changed;
  if (is_away(error)) {
    if (!std::exchange(away_, true)) {
      log::warning("pods' statuses wait for the API server: {}", error.message());
    }
    if (!std::exchange(waiting_, true)) {
      tasks_.spawn("wait for the API server", wake_at(jittered(kAwayWait)));
    }
    return;
  }
  if (entry.wait == Duration(0)) {
    log::warning("status of pod {}: {}; trying again", key, error.message());
  }
  entry.resting = true;
  entry.wait = std::clamp<Duration>(2 * entry.wait, std::chrono::milliseconds(500), kMostWait);
  tasks_.spawn("status of pod " + key + " again", look_again(key, jittered(entry.wait)));
}

void StatusManager::collect(Stats& stats) const {
  stats.histogram(
      "kubelet_pod_status_sync_duration_seconds",
      "[ALPHA] Duration in seconds to sync a pod status update. Measures time from detection of a change to "
      "pod status until the API is successfully updated for that pod, even if multiple intevening changes "
      "to pod status occur.",
      waits_);
}

Task<> StatusManager::wake_at(Duration wait) {
  KEELSON_CO_DO(co_await loop_.sleep(wait));
  waiting_ = false;
  pump();
  co_return Result<>();
}

Task<> StatusManager::look_again(std::string key, Duration wait) {
  KEELSON_CO_DO(co_await loop_.sleep(wait));
  if (auto it = entries_.find(key); it != entries_.end()) {
    it->second.resting = false;
    look_at(key);
  }
  co_return Result<>();
}

Task<> StatusManager::hold(std::string key) {
  KEELSON_CO_DO(co_await loop_.sleep(kHold));
  if (auto it = entries_.find(key); it != entries_.end()) {
    it->second.holding = false;
    it->second.held = true;
    look_at(key);
    if (it = entries_.find(key); it != entries_.end() && !it->second.queued) {
      it->second.held = false;  // all is said already
    }
  }
  co_return Result<>();
}

Duration StatusManager::jittered(Duration wait) {
  return wait + Duration(std::uniform_int_distribution<Duration::rep>(0, wait.count())(random_));
}

}  // namespace keelson::agent
