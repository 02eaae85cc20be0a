// SPDX-License-Identifier: Apache-2.0
#include "tests/simulation/pod_rules.h"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "kube/codec.h"

namespace keelson::simulation {

namespace {

std::string key_of(const json::object& pod) {
  return meta_text(pod, "namespace") + "/" + meta_text(pod, "name");
}

int64_t number_in(const json::object& map, std::string_view name, int64_t missing) {
  const auto* value = map.if_contains(name);
  return value != nullptr && value->is_int64() ? value->get_int64() : missing;
}

bool has_finalizers(const json::object& pod) {
  const auto* list = pod.at("metadata").as_object().if_contains("finalizers");
  return list != nullptr && !list->as_array().empty();
}

bool has_ended(const json::object& pod) {
  const auto* phase = pod.at("status").as_object().if_contains("phase");
  return phase != nullptr && (*phase == "Succeeded" || *phase == "Failed");
}

}  // namespace

Object create_pod(ObjectStore& store, WallTime now, json::object pod) {
  const auto key = key_of(pod);
  if (store.find("pods", key)) {
    return nullptr;
  }
  auto& meta = meta_of(pod);
  meta["uid"] = store.new_uid();
  meta["creationTimestamp"] = format_rfc3339(now);
  meta["generation"] = 1;
  pod["status"] = json::object{{"phase", "Pending"}, {"qosClass", "BestEffort"}};
  return store.put("pods", key, std::move(pod));
}

void change_pod(ObjectStore& store, const std::string& key, const std::function<void(json::object&)>& change) {
  auto pod = *store.find("pods", key);
  change(pod);
  auto& meta = meta_of(pod);
  meta["generation"] = number_in(meta, "generation", 1) + 1;
  store.put("pods", key, std::move(pod));
}

void delete_pod(ObjectStore& store, WallTime now, const std::string& key, std::optional<int64_t> grace) {
  const auto found = store.find("pods", key);
  if (!found) {
    return;
  }
  auto pod = *found;
  auto& meta = meta_of(pod);
  int64_t seconds =
      has_ended(pod) ? 0 : grace.value_or(number_in(pod.at("spec").as_object(), "terminationGracePeriodSeconds", 30));
  if (meta.contains("deletionTimestamp")) {
    const int64_t before = number_in(meta, "deletionGracePeriodSeconds", 0);
    if (seconds >= before && !(seconds == 0 && !has_finalizers(pod))) {
      return;
    }
    seconds = std::min(seconds, before);
  }
  if (seconds == 0 && !has_finalizers(pod)) {
    store.remove("pods", key);
    return;
  }
  meta["deletionTimestamp"] = format_rfc3339(now + std::chrono::seconds(seconds));
  meta["deletionGracePeriodSeconds"] = seconds;
  meta["generation"] = number_in(meta, "generation", 1) + 1;
  store.put("pods", key, std::move(pod));
}

void finish_pod(ObjectStore& store, const std::string& key) {
  auto pod = *store.find("pods", key);
  auto& meta = meta_of(pod);
  meta.erase("finalizers");
  if (meta.contains("deletionTimestamp") && number_in(meta, "deletionGracePeriodSeconds", 0) == 0) {
    store.remove("pods", key);
    return;
  }
  store.put("pods", key, std::move(pod));
}

kube::Pod typed_pod(const json::object& pod) {
  auto decoded = kube::decode_pods(json::serialize(pod));
  return decoded && decoded->size() == 1 ? decoded->front() : kube::Pod();
}

}  // namespace keelson::simulation
