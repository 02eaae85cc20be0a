// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/mirror_pods.h"

#include <algorithm>

#include "agent/cluster/pod_ledger.h"
#include "agent/critical_pod.h"
#include "common/log.h"
#include "kube/codec.h"

namespace keelson::agent {

namespace {

constexpr std::chrono::seconds kAwayRest{1};
constexpr std::chrono::seconds kRefusedRest{10};
constexpr std::chrono::seconds kDeletedRest{2};

bool mirrors(const kube::Pod& mirror, const kube::Pod& pod) {
  const auto hash = mirror.metadata.annotations.find(kMirrorAnnotation);
  return hash != mirror.metadata.annotations.end() && hash->second == pod.metadata.uid;
}

}  // namespace

kube::Pod make_mirror(const kube::Pod& pod, const std::string& node_name, const std::string& node_uid) {
  kube::Pod mirror;
  mirror.metadata.name = pod.metadata.name;
  mirror.metadata.ns = pod.metadata.ns;
  mirror.metadata.labels = pod.metadata.labels;
  mirror.metadata.annotations = pod.metadata.annotations;
  mirror.metadata.annotations[kMirrorAnnotation] = pod.metadata.uid;
  kube::OwnerReference owner;
  owner.api_version = "v1";
  owner.kind = "Node";
  owner.name = node_name;
  owner.uid = node_uid;
  owner.controller = true;
  mirror.metadata.owner_references = {std::move(owner)};
  mirror.spec = pod.spec;
  mirror.spec.node_name = node_name;
  return mirror;
}

MirrorPods::MirrorPods(Loop& loop, ApiCall call, std::string node_name, uint64_t seed,
                       std::function<void(kube::Pod)> made, std::function<bool(const std::string&)> alive)
    : loop_(loop),
      call_(std::move(call)),
      node_name_(std::move(node_name)),
      random_(seed),
      made_(std::move(made)),
      alive_(std::move(alive)),
      tasks_(loop) {}

void MirrorPods::update(std::map<std::string, kube::Pod> statics, std::map<std::string, kube::Pod> mirrors,
                        std::string node_uid) {
  statics_ = std::move(statics);
  mirrors_ = std::move(mirrors);
  node_uid_ = std::move(node_uid);
  std::erase_if(deleted_, [this](const std::string& uid) {
    return std::ranges::none_of(mirrors_, [&](const auto& entry) { return entry.second.metadata.uid == uid; });
  });
  if (!working_ && next()) {
    working_ = true;
    tasks_.spawn("mirror pods", work());
  }
}

std::optional<MirrorPods::Step> MirrorPods::next() const {
  if (node_uid_.empty()) {
    return std::nullopt;
  }
  for (const auto& [name, mirror] : mirrors_) {
    const auto& meta = mirror.metadata;
    const auto pod = statics_.find(name);
    const bool stays = pod == statics_.end() ? alive_(name) : mirrors(mirror, pod->second) && !meta.deletion_timestamp;
    if (!stays && !deleted_.contains(meta.uid) && !resting_.contains(name)) {
      return Step{name, meta.uid, delete_pod_request(meta.ns, meta.name, meta.uid),
                  meta.deletion_timestamp.has_value()};
    }
  }
  for (const auto& [name, pod] : statics_) {
    if (!mirrors_.contains(name) && !resting_.contains(name)) {
      return Step{name,
                  "",
                  {.method = "POST",
                   .path = object_path(pod.metadata.ns, "pods"),
                   .body = kube::encode_json(make_mirror(pod, node_name_, node_uid_))}};
    }
  }
  return std::nullopt;
}

Task<> MirrorPods::work() {
  while (auto step = next()) {
    auto answer = co_await call_(step->request, kApiDeadline);
    if (!answer && answer.error().kind() == Kind::cancelled) {
      co_return std::unexpected(std::move(answer).error());
    }
    settle(*step, std::move(answer));
  }
  working_ = false;
  co_return Result<>();
}

void MirrorPods::settle(const Step& step, Result<std::string> answer) {
  const bool deletes = !step.uid.empty();
  if (deletes && (answer || answer.error().kind() == Kind::not_found || is_other_object(answer.error()))) {
    deleted_.insert(step.uid);
    mirrors_.erase(step.name);
    if (step.asked_for) {
      pause(step.name, kDeletedRest);
    }
    return;
  }
  if (answer) {
    auto pods = kube::decode_pods(*answer);
    if (pods && pods->size() == 1) {
      mirrors_.insert_or_assign(step.name, pods->front());
      made_(std::move(pods->front()));
      return;
    }
  }
  const bool away = !answer && is_away(answer.error());
  if (!away) {
    log::warning("mirror of static pod {}: {}; trying again", step.name,
                 answer ? "the API server's answer is no pod" : answer.error().message());
  }
  const Duration base = away ? kAwayRest : kRefusedRest;
  pause(step.name, base + Duration(std::uniform_int_distribution<Duration::rep>(0, base.count())(random_)));
}

void MirrorPods::pause(const std::string& name, Duration wait) {
  resting_.insert(name);
  tasks_.spawn("mirror of static pod " + name, rest(name, wait));
}

Task<> MirrorPods::rest(std::string name, Duration wait) {
  KEELSON_CO_DO(co_await loop_.sleep(wait));
  resting_.erase(name);
  if (!working_) {
    working_ = true;
    co_return co_await work();
  }
  co_return Result<>();
}

}  // namespace keelson::agent
