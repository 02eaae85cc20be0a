// SPDX-License-Identifier: Apache-2.0
// cluster_pods.h over kube/client.
#include "tests/support/cluster_pods.h"

#include <fmt/format.h>

#include <algorithm>

#include "kube/client/api.h"

namespace keelson::testing {
namespace {

using namespace std::chrono_literals;

constexpr const char* kPath = "/api/v1/namespaces/default/pods";
constexpr auto kPatience = 180s;

std::string pod_json(const std::string& name, const std::string& spec) {
  return fmt::format(R"({{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{}"}},"spec":{}}})", name, spec);
}

std::vector<std::string> names_of(const std::string& prefix, int count) {
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) {
    names.push_back(fmt::format("{}-{}", prefix, i));
  }
  return names;
}

void set_once(std::optional<Moment>& time) {
  if (!time) {
    time = std::chrono::steady_clock::now();
  }
}

}  // namespace

double ms_between(std::optional<Moment> from, std::optional<Moment> to) {
  return from && to ? std::chrono::duration<double, std::milli>(*to - *from).count() : 0;
}

ClusterPods::ClusterPods(kube::ClusterAccess access)
    : loop_(real_clock(), "bench"), client_(loop_, std::move(access)), watch_(client_, {}, consumer()), tasks_(loop_) {}

ClusterPods::~ClusterPods() {
  TaskGroup last(loop_);
  bool closed = false;
  last.spawn("close", [](ClusterPods* self, bool* done) -> Task<> {
    auto ended = co_await self->tasks_.close();
    auto left = co_await self->client_.close();
    *done = true;
    co_return ended ? left : ended;
  }(this, &closed));
  auto waited = run_until([&] { return closed; }, "the client's end");
}

Result<std::unique_ptr<ClusterPods>> ClusterPods::connect(const std::string& kubeconfig) {
  KEELSON_TRY(auto access, kube::load_kubeconfig(kubeconfig));
  std::unique_ptr<ClusterPods> pods(new ClusterPods(std::move(access)));
  pods->tasks_.spawn("watch of pods", pods->watch_.run());
  KEELSON_DO(pods->run_until([&] { return pods->synced_; }, "the list of pods"));
  return pods;
}

kube::WatchConsumer<kube::Pod> ClusterPods::consumer() {
  return {.synced = [this](std::vector<kube::Pod>) { synced_ = true; },
          .changed =
              [this](kube::Changes<kube::Pod> changes) {
                for (const auto& pod : changes.changed) {
                  seen(pod);
                }
                for (const auto& gone : changes.removed) {
                  if (auto it = times_.find(gone.name.substr(gone.name.find('/') + 1)); it != times_.end()) {
                    set_once(it->second.gone);
                  }
                }
              },
          .failed = [this](const Error& error, Duration) { failed_ = error; },
          .left_out = {}};
}

void ClusterPods::seen(const kube::Pod& pod) {
  auto it = times_.find(pod.metadata.name);
  if (it == times_.end()) {
    return;
  }
  set_once(it->second.created);
  if (!pod.spec.node_name.empty()) {
    set_once(it->second.bound);
  }
  if (is_ready(pod.status)) {
    set_once(it->second.ready);
  }
}

Task<> ClusterPods::send(kube::Request request) {
  auto answer = co_await kube::call(client_, std::move(request), 30s);
  if (!answer) {
    failed_ = answer.error();
  }
  co_return Result<>();
}

Result<> ClusterPods::run_until(const std::function<bool()>& done, const std::string& what) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!done()) {
    if (failed_) {
      return std::unexpected(*failed_);
    }
    if (std::chrono::steady_clock::now() > end) {
      return fail(Kind::timeout, "{}: not within {} s", what, kPatience.count());
    }
    loop_.io().restart();
    loop_.io().run_one_for(20ms);
  }
  return {};
}

Result<std::vector<PodTimes>> ClusterPods::start(const std::string& spec, const std::string& prefix, int count) {
  const auto names = names_of(prefix, count);
  for (const auto& name : names) {
    times_[name] = {.create_sent = std::chrono::steady_clock::now()};
    tasks_.spawn("create " + name, send({.method = "POST", .path = kPath, .body = pod_json(name, spec)}));
  }
  KEELSON_DO(run_until(
      [&] { return std::ranges::all_of(names, [&](const auto& name) { return times_[name].ready.has_value(); }); },
      fmt::format("{} pods {} are Ready", count, prefix)));
  std::vector<PodTimes> all;
  for (const auto& name : names) {
    all.push_back(times_[name]);
  }
  return all;
}

Result<std::vector<PodTimes>> ClusterPods::remove(const std::string& prefix, int count) {
  const auto names = names_of(prefix, count);
  for (const auto& name : names) {
    times_[name].delete_sent = std::chrono::steady_clock::now();
    tasks_.spawn("delete " + name, send({.method = "DELETE", .path = fmt::format("{}/{}", kPath, name)}));
  }
  KEELSON_DO(run_until(
      [&] { return std::ranges::all_of(names, [&](const auto& name) { return times_[name].gone.has_value(); }); },
      fmt::format("{} pods {} are gone", count, prefix)));
  std::vector<PodTimes> all;
  for (const auto& name : names) {
    all.push_back(times_[name]);
    times_.erase(name);
  }
  return all;
}

}  // namespace keelson::testing
