// SPDX-License-Identifier: Apache-2.0
#include "dataplane/translate/translator.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "kube/pack.h"

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

std::vector<kube::EndpointSlice> Translator::Entry::unpack_slices() const {
  std::vector<kube::EndpointSlice> all;
  all.reserve(slices.size());
  for (const auto& slice : slices) {
    all.push_back(kube::unpack_endpoint_slice(slice.packed));
  }
  return all;
}

Translator::Entries::value_type& Translator::touch(const std::string& key) {
  auto& place = *entries_.try_emplace(key).first;
  if (!place.second.dirty) {
    place.second.dirty = true;
    dirty_.push_back(key);
  }
  return place;
}

void Translator::put_service(kube::Service service) {
  auto& entry = touch(key_of(service.metadata)).second;
  keep_names(service.metadata, {kOtherProxyLabel, kHeadlessLabel});
  service.selector.clear();
  service_count_ += entry.known ? 0 : 1;
  entry.known = true;
  entry.service = kube::pack(service);
}

void Translator::put_slice(kube::EndpointSlice slice) {
  auto key = key_of(slice.metadata);
  auto label = slice.metadata.labels.find(std::string(kube::kServiceNameLabel));
  if (label == slice.metadata.labels.end()) {
    remove_slice(key);
    return;
  }
  auto owner = slice.metadata.ns + "/" + label->second;
  if (auto known = slice_service_.find(key); known != slice_service_.end() && *known->second != owner) {
    remove_slice(key);
  }
  keep_names(slice.metadata, {kOtherProxyLabel, kHeadlessLabel});
  auto& [name, entry] = touch(owner);
  slice_service_[key] = &name;
  auto place = std::ranges::lower_bound(entry.slices, key, {}, &Slice::key);
  if (place == entry.slices.end() || place->key != key) {
    place = entry.slices.insert(place, {key, {}});
  }
  place->packed = kube::pack(slice);
}

void Translator::remove_service(const std::string& key) {
  auto known = entries_.find(key);
  if (known == entries_.end() || !known->second.known) {
    return;
  }
  auto& entry = touch(key).second;
  entry.known = false;
  entry.service.clear();
  service_count_--;
}

void Translator::remove_slice(const std::string& key) {
  auto known = slice_service_.find(key);
  if (known == slice_service_.end()) {
    return;
  }
  std::erase_if(touch(*known->second).second.slices, [&](const Slice& slice) { return slice.key == key; });
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
  Delta delta;
  translate_dirty(&delta);
  return delta;
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
  const auto& entry = known->second;
  return KnownService{kube::unpack_service(entry.service), entry.unpack_slices(), entry.keys};
}

void Translator::for_each_slice(const std::function<void(const kube::EndpointSlice&)>& visit) const {
  for (const auto& [key, entry] : entries_) {
    for (const auto& slice : entry.unpack_slices()) {
      visit(slice);
    }
  }
}

Delta Translator::set_options(TranslateOptions options) {
  take_options(std::move(options));
  Delta delta;
  translate_dirty(&delta);
  return delta;
}

void Translator::settle(TranslateOptions options) {
  take_options(std::move(options));
  translate_dirty(nullptr);
}

void Translator::take_options(TranslateOptions options) {
  if (options != options_) {
    options_ = std::move(options);
    for (const auto& [key, entry] : entries_) {
      touch(key);
    }
  }
}

Delta Translator::set_leaving(std::vector<LeavingPod> pods) {
  std::vector<std::string> changed;
  for (const auto& [one, other] : {std::pair(&pods, &leaving_), std::pair(&leaving_, &pods)}) {
    for (const auto& pod : *one) {
      if (std::ranges::find(*other, pod) == other->end()) {
        changed.insert(changed.end(), pod.addresses.begin(), pod.addresses.end());
      }
    }
  }
  leaving_ = std::move(pods);
  for (const auto& [key, entry] : entries_) {
    // Texts are packed as they are; what has the address in another place is translated for nothing.
    const bool concerned = std::ranges::any_of(entry.slices, [&](const Slice& slice) {
      return std::ranges::any_of(changed, [&](const auto& address) { return slice.packed.contains(address); });
    });
    if (concerned) {
      touch(key);
    }
  }
  Delta delta;
  translate_dirty(&delta);
  return delta;
}

bool Translator::is_leaving(const kube::Endpoint& endpoint) const {
  return !endpoint.addresses.empty() && std::ranges::any_of(leaving_, [&](const LeavingPod& pod) {
    const bool named = endpoint.target_name == pod.name && endpoint.target_ns == pod.ns;
    return std::ranges::find(pod.addresses, endpoint.addresses.front()) != pod.addresses.end() &&
           (named || (endpoint.target_name.empty() && !pod.on_host_network));
  });
}

void Translator::translate_dirty(Delta* delta) {
  for (const auto& key : std::exchange(dirty_, {})) {
    auto known = entries_.find(key);
    known->second.dirty = false;
    translate_entry(key, known->second, delta);
    if (!known->second.known && known->second.slices.empty()) {
      entries_.erase(known);
    }
  }
  if (delta) {
    std::ranges::sort(delta->removed);
  }
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

void Translator::translate_entry(const std::string& key, Entry& entry, Delta* delta) {
  auto all_slices = entry.unpack_slices();
  const auto service = entry.known ? kube::unpack_service(entry.service) : kube::Service();
  std::vector<const kube::EndpointSlice*> slices;
  for (auto& slice : all_slices) {
    for (auto& endpoint : slice.endpoints) {
      if (!leaving_.empty() && !service.publish_not_ready_addresses && is_leaving(endpoint)) {
        endpoint.serving = endpoint.serving.value_or(endpoint.ready.value_or(true));
        endpoint.ready = false;
        endpoint.terminating = true;
      }
    }
    if (is_routed(slice)) {
      slices.push_back(&slice);
    }
  }
  std::map<ServiceKey, Service> wanted;
  uint16_t health_port = 0;
  if (entry.known) {
    wanted = translate(service, slices, options_);
    health_port = health_check_port(service);
  }
  claim_health_port(key, entry, health_port, health_check(service, slices, options_));
  for (const auto& routed : entry.keys) {
    if (!wanted.contains(routed)) {
      model_.services.erase(routed);
      if (delta) {
        delta->removed.push_back(routed);
      }
    }
  }
  entry.keys.clear();
  for (auto& [routed, value] : wanted) {
    entry.keys.push_back(routed);
    auto [place, fresh] = model_.services.try_emplace(routed);
    if (fresh || place->second != value) {
      if (delta) {
        delta->changed.emplace(routed, value);
      }
      place->second = std::move(value);
    }
  }
}

}  // namespace keelson::dataplane
