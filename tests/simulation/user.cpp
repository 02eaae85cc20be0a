// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/user.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <boost/json/parse.hpp>

#include "kube/codec.h"
#include "tests/simulation/pod_rules.h"

namespace keelson::simulation {

namespace {

constexpr size_t kNames = 16;
constexpr const char* kNamespaces[] = {"default", "shop"};

kube::Container container(const std::string& name) {
  kube::Container made;
  made.name = name;
  made.image = "busybox:1";
  made.image_pull_policy = kube::PullPolicy::if_not_present;
  return made;
}

bool is_mirror(const json::object& pod) {
  const auto* annotations = pod.at("metadata").as_object().if_contains("annotations");
  return annotations != nullptr && annotations->as_object().contains("kubernetes.io/config.mirror");
}

kube::Volume config_volume(const std::string& object) {
  kube::Volume volume;
  volume.name = "config";
  volume.config_map.emplace();
  volume.config_map->name = object;
  volume.config_map->optional = true;
  return volume;
}

kube::Volume token_volume() {
  kube::Volume volume;
  volume.name = "token";
  kube::VolumeProjection source;
  source.service_account_token = kube::ServiceAccountTokenProjection{.audience = "", .expiration_seconds = 600};
  source.service_account_token->path = "token";
  volume.projected.emplace().sources.push_back(std::move(source));
  return volume;
}

}  // namespace

User::User(ControlPlane& plane, Runtime& runtime, const Clock& clock, uint64_t seed, std::string manifests)
    : plane_(plane), runtime_(runtime), clock_(clock), random_(seed), manifests_(std::move(manifests)) {
  plane_.store.put("services", "default/kubernetes",
                   json::parse(R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"kubernetes",)"
                               R"("namespace":"default"},"spec":{"clusterIP":"10.96.0.1","ports":[{"port":443}]}})")
                       .as_object());
}

void User::act() {
  const size_t what = below(100);
  if (what < 22) {
    make_pod();
  } else if (what < 38) {
    delete_pod();
  } else if (what < 46) {
    replace_pod();
  } else if (what < 54) {
    edit_pod();
  } else if (what < 60) {
    others_status();
  } else if (what < 68) {
    change_input();
  } else if (what < 72) {
    change_manifest();
  } else if (what < 75) {
    delete_mirror();
  } else if (what < 94) {
    end_container();
  } else if (what < 97) {
    lose_sandbox();
  } else {
    label_node();
  }
}

json::object User::new_pod(const std::string& name) {
  kube::Pod pod;
  pod.metadata.name = name;
  pod.metadata.ns = kNamespaces[below(2)];
  pod.metadata.labels["app"] = name;
  if (one_in(8)) {
    pod.metadata.finalizers.push_back("example.com/keep");
  }
  pod.spec.node_name = kNodeName;
  pod.spec.restart_policy = std::array{kube::RestartPolicy::always, kube::RestartPolicy::always,
                                       kube::RestartPolicy::on_failure, kube::RestartPolicy::never}[below(4)];
  pod.spec.termination_grace_period_seconds = std::array{0, 2, 10, 30}[below(4)];
  for (size_t i = 0; i <= below(2); ++i) {
    pod.spec.containers.push_back(container(fmt::format("c{}", i)));
  }
  if (one_in(3)) {
    pod.spec.volumes.push_back(config_volume(fmt::format("config-{}", below(4))));
  }
  if (one_in(3)) {
    pod.spec.volumes.push_back(token_volume());
  }
  return json::parse(kube::encode_json(pod)).as_object();
}

std::string User::some_pod() {
  std::vector<std::string> found;
  for (const auto& [key, pod] : plane_.store.all("pods")) {
    if (!is_mirror(*pod)) {
      found.push_back(key);
    }
  }
  return found.empty() ? "" : found[below(found.size())];
}

void User::make_pod() {
  create_pod(plane_.store, clock_.wall(), new_pod(fmt::format("p{}", below(kNames))));
}

void User::delete_pod() {
  const auto key = some_pod();
  if (key.empty()) {
    return;
  }
  const auto pod = plane_.store.find("pods", key);
  const auto& meta = pod->at("metadata").as_object();
  if (meta.contains("deletionTimestamp") && meta.contains("finalizers")) {
    finish_pod(plane_.store, key);
  } else {
    simulation::delete_pod(plane_.store, clock_.wall(), key, one_in(4) ? std::optional<int64_t>(0) : std::nullopt);
  }
}

/// As a StatefulSet whose pod is deleted by force: the next one of that name is there at once.
void User::replace_pod() {
  const auto key = some_pod();
  if (key.empty()) {
    return;
  }
  simulation::delete_pod(plane_.store, clock_.wall(), key, 0);
  if (!plane_.store.find("pods", key)) {
    auto next = new_pod(key.substr(key.find('/') + 1));
    meta_of(next)["namespace"] = key.substr(0, key.find('/'));
    create_pod(plane_.store, clock_.wall(), std::move(next));
  }
}

void User::edit_pod() {
  if (const auto key = some_pod(); !key.empty()) {
    change_pod(plane_.store, key, [this](json::object& pod) {
      if (one_in(3)) {
        pod.at("spec").at("containers").at(0).as_object()["image"] = fmt::format("busybox:{}", 1 + below(3));
      } else {
        meta_of(pod)["labels"].as_object()["edition"] = std::to_string(++counter_);
      }
    });
  }
}

/// A controller of a readiness gate, and one that writes over what is the node's.
void User::others_status() {
  const auto key = some_pod();
  if (key.empty()) {
    return;
  }
  auto pod = *plane_.store.find("pods", key);
  auto& status = pod.at("status").as_object();
  if (one_in(3)) {
    status["message"] = "not the node's";
  } else {
    auto& conditions = status["conditions"];
    if (!conditions.is_array()) {
      conditions = json::array();
    }
    auto& list = conditions.as_array();
    auto* const gate =
        std::ranges::find_if(list, [](const json::value& one) { return one.at("type") == "example.com/gate"; });
    const json::object wanted{{"type", "example.com/gate"}, {"status", one_in(2) ? "True" : "False"}};
    if (gate == list.end()) {
      list.push_back(wanted);
    } else {
      *gate = wanted;
    }
  }
  plane_.store.put("pods", key, std::move(pod));
}

void User::change_input() {
  const auto* ns = kNamespaces[below(2)];
  const auto name = fmt::format("config-{}", below(4));
  const auto key = fmt::format("{}/{}", ns, name);
  if (one_in(4)) {
    plane_.store.remove("configmaps", key);
  } else {
    plane_.store.put("configmaps", key,
                     {{"apiVersion", "v1"},
                      {"kind", "ConfigMap"},
                      {"metadata", {{"name", name}, {"namespace", ns}}},
                      {"data", {{"edition", std::to_string(++counter_)}}}});
  }
}

void User::change_manifest() {
  const auto name = fmt::format("static{}", below(3));
  const auto file = fmt::format("{}/{}.yaml", manifests_, name);
  const auto key = fmt::format("default/{}-{}", name, kNodeName);
  if (statics_.contains(key) && one_in(2)) {
    std::filesystem::remove(file);
    statics_.erase(key);
    return;
  }
  const auto uid = fmt::format("static-{}", ++counter_);
  std::ofstream(file + "~") << fmt::format(
      "apiVersion: v1\nkind: Pod\nmetadata: {{name: {}, uid: {}}}\nspec:\n  terminationGracePeriodSeconds: {}\n"
      "  containers:\n  - {{name: c0, image: 'busybox:1'}}\n",
      name, uid, below(2) * 5);
  std::filesystem::rename(file + "~", file);
  statics_[key] = uid;
}

void User::delete_mirror() {
  for (const auto& [key, pod] : plane_.store.all("pods")) {
    if (is_mirror(*pod) && one_in(2)) {
      return simulation::delete_pod(plane_.store, clock_.wall(), std::string(key),
                                    one_in(2) ? std::optional<int64_t>(0) : std::nullopt);
    }
  }
}

void User::end_container() {
  std::vector<std::string> running;
  for (const auto& [id, container] : runtime_.containers) {
    if (container.state == agent::RunState::running) {
      running.push_back(id);
    }
  }
  if (!running.empty()) {
    runtime_.exit_container(running[below(running.size())], one_in(2) ? 0 : 1);
  }
}

void User::lose_sandbox() {
  std::vector<std::string> ready;
  for (const auto& [id, sandbox] : runtime_.sandboxes) {
    if (sandbox.seen.ready) {
      ready.push_back(id);
    }
  }
  if (!ready.empty()) {
    runtime_.lose_sandbox(ready[below(ready.size())]);
  }
}

void User::label_node() {
  if (const auto found = plane_.store.find("nodes", kNodeName)) {
    auto node = *found;
    meta_of(node)["labels"].as_object()["example.com/edition"] = std::to_string(++counter_);
    plane_.store.put("nodes", kNodeName, std::move(node));
  }
}

}  // namespace keelson::simulation
