// SPDX-License-Identifier: Apache-2.0
#include "dataplane/translate/translator.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

namespace keelson::dataplane {
namespace {

// Nobody reads the rest again; at 50,000 services it would be most of the memory.
void keep_names(kube::ObjectMeta& meta, std::initializer_list<std::string_view> labels) {
  kube::StringMap kept;
  for (auto label : labels) {
    if (auto found = meta.labels.find(std::string(label)); found != meta.labels.end()) {
      kept.insert(*found);
    }
  }
  meta = {.name = std::move(meta.name),
          .ns = std::move(meta.ns),
          .labels = std::move(kept),
          .creation_timestamp = meta.creation_timestamp};
}

}  // namespace

void carry_out(ServiceObjects& objects, const ObjectChange& change) {
  if (change.all_services) {
    objects.services.clear();
  }
  if (change.all_slices) {
    objects.slices.clear();
  }
  for (const auto& key : change.removed_services) {
    objects.services.erase(key);
  }
  for (const auto& key : change.removed_slices) {
    objects.slices.erase(key);
  }
  for (const auto& service : change.services) {
    objects.services[key_of(service.metadata)] = service;
  }
  for (const auto& slice : change.slices) {
    objects.slices[key_of(slice.metadata)] = slice;
  }
}

Translator::Translator(TranslateOptions options) : options_(std::move(options)) {}

Translator::Entry& Translator::touch(const std::string& key) {
  auto& entry = entries_[key];
  if (!entry.dirty) {
    entry.dirty = true;
    dirty_.push_back(key);
  }
  return entry;
}

void Translator::put_service(kube::Service service) {
  auto& entry = touch(key_of(service.metadata));
  keep_names(service.metadata, {kOtherProxyLabel, kHeadlessLabel});
  service.selector.clear();
  service_count_ += entry.known ? 0 : 1;
  entry.known = true;
  entry.service = std::move(service);
}

void Translator::put_slice(kube::EndpointSlice slice) {
  auto key = key_of(slice.metadata);
  auto label = slice.metadata.labels.find(std::string(kube::kServiceNameLabel));
  if (label == slice.metadata.labels.end()) {
    remove_slice(key);
    return;
  }
  auto owner = slice.metadata.ns + "/" + label->second;
  if (auto known = slice_service_.find(key); known != slice_service_.end() && known->second != owner) {
    remove_slice(key);
  }
  slice_service_[key] = owner;
  keep_names(slice.metadata, {kOtherProxyLabel, kHeadlessLabel});
  touch(owner).slices.insert_or_assign(key, std::move(slice));
}

void Translator::remove_service(const std::string& key) {
  auto known = entries_.find(key);
  if (known == entries_.end() || !known->second.known) {
    return;
  }
  auto& entry = touch(key);
  entry.known = false;
  entry.service = {};
  service_count_--;
}

void Translator::remove_slice(const std::string& key) {
  auto known = slice_service_.find(key);
  if (known == slice_service_.end()) {
    return;
  }
  touch(known->second).slices.erase(key);
  slice_service_.erase(known);
}

// Takes away what a complete list does not name.
void Translator::retain(const ObjectChange& change) {
  std::vector<std::string> gone;
  std::unordered_set<std::string> named;
  if (change.all_services) {
    for (const auto& service : change.services) {
      named.insert(key_of(service.metadata));
    }
    for (const auto& [key, entry] : entries_) {
      if (entry.known && !named.contains(key)) {
        gone.push_back(key);
      }
    }
    std::ranges::for_each(gone, [&](const auto& key) { remove_service(key); });
  }
  gone.clear();
  named.clear();
  if (change.all_slices) {
    for (const auto& slice : change.slices) {
      named.insert(key_of(slice.metadata));
    }
    for (const auto& [key, owner] : slice_service_) {
      if (!named.contains(key)) {
        gone.push_back(key);
      }
    }
    std::ranges::for_each(gone, [&](const auto& key) { remove_slice(key); });
  }
}

Delta Translator::apply(ObjectChange change) {
  hold(std::move(change));
  return translate_dirty();
}

void Translator::hold(ObjectChange change) {
  retain(change);
  for (const auto& key : change.removed_services) {
    remove_service(key);
  }
  for (const auto& key : change.removed_slices) {
    remove_slice(key);
  }
  for (auto& service : change.services) {
    put_service(std::move(service));
  }
  for (auto& slice : change.slices) {
    put_slice(std::move(slice));
  }
}

std::vector<std::string> Translator::service_names() const {
  std::vector<std::string> names;
  names.reserve(service_count_);
  for (const auto& [key, entry] : entries_) {
    if (entry.known) {
      names.push_back(key);
    }
  }
  std::ranges::sort(names);
  return names;
}

std::optional<KnownService> Translator::find(const std::string& name) const {
  auto known = entries_.find(name);
  if (known == entries_.end() || !known->second.known) {
    return std::nullopt;
  }
  KnownService found{known->second.service, {}, known->second.keys};
  for (const auto& [key, slice] : known->second.slices) {
    found.slices.push_back(&slice);
  }
  return found;
}

void Translator::for_each_slice(const std::function<void(const kube::EndpointSlice&)>& visit) const {
  for (const auto& [key, entry] : entries_) {
    for (const auto& [name, slice] : entry.slices) {
      visit(slice);
    }
  }
}

Delta Translator::set_options(TranslateOptions options) {
  if (options != options_) {
    options_ = std::move(options);
    for (const auto& [key, entry] : entries_) {
      touch(key);
    }
  }
  return translate_dirty();
}

Delta Translator::translate_dirty() {
  Delta delta;
  for (const auto& key : std::exchange(dirty_, {})) {
    auto known = entries_.find(key);
    known->second.dirty = false;
    translate_entry(key, known->second, delta);
    if (!known->second.known && known->second.slices.empty()) {
      entries_.erase(known);
    }
  }
  std::ranges::sort(delta.removed);
  return delta;
}

void Translator::claim_health_port(const std::string& key, Entry& entry, uint16_t port, const HealthCheck& check) {
  for (auto touched : {std::exchange(entry.health_port, port), port}) {
    if (touched == 0) {
      continue;
    }
    auto& claims = health_claims_[touched];
    if (touched == port) {
      claims.insert_or_assign(key, check);
    } else {
      claims.erase(key);
    }
    if (claims.empty()) {
      health_claims_.erase(touched);
      model_.health_checks.erase(touched);
    } else {
      model_.health_checks[touched] = claims.begin()->second;
    }
  }
}

void Translator::translate_entry(const std::string& key, Entry& entry, Delta& delta) {
  std::vector<const kube::EndpointSlice*> slices;
  for (const auto& [name, slice] : entry.slices) {
    if (is_routed(slice)) {
      slices.push_back(&slice);
    }
  }
  std::map<ServiceKey, Service> wanted;
  uint16_t health_port = 0;
  if (entry.known) {
    wanted = translate(entry.service, slices, options_);
    health_port = health_check_port(entry.service);
  }
  claim_health_port(key, entry, health_port, health_check(entry.service, slices, options_));
  for (const auto& routed : entry.keys) {
    if (!wanted.contains(routed)) {
      model_.services.erase(routed);
      delta.removed.push_back(routed);
    }
  }
  entry.keys.clear();
  for (auto& [routed, service] : wanted) {
    entry.keys.push_back(routed);
    auto [place, fresh] = model_.services.try_emplace(routed);
    if (fresh || place->second != service) {
      place->second = service;
      delta.changed.emplace(routed, std::move(service));
    }
  }
}

}  // namespace keelson::dataplane
