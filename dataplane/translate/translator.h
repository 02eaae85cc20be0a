// SPDX-License-Identifier: Apache-2.0
// Objects that come and go, to changes of the model: what an event costs is what it changes.
//
// A Kubernetes Service and the EndpointSlices that name it are one entry; an object's change has its entry translated
// again, and what came out differently is the Delta. Pure but for what it remembers: fed the same objects in whatever
// order and in whatever pieces, it ends at the model that translate() makes of them.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "dataplane/translate/translate.h"

namespace keelson::dataplane {

/// What changed among the objects. Keys are "namespace/name".
struct ObjectChange {
  std::vector<kube::Service> services;  ///< New, or with a new value.
  std::vector<kube::EndpointSlice> slices;
  std::vector<std::string> removed_services;
  std::vector<std::string> removed_slices;
  bool all_services = false;  ///< `services` are all there are: the others are gone.
  bool all_slices = false;
};

/// The same change among the objects themselves: what there is afterwards.
void carry_out(ServiceObjects& objects, const ObjectChange& change);

/// A Service and what belongs to it, as far as it is kept: metadata has name, namespace, creationTimestamp and the
/// labels that decide who serves it; the selector is dropped.
struct KnownService {
  kube::Service service;
  std::vector<kube::EndpointSlice> slices;  ///< By name.
  std::vector<ServiceKey> routed;           ///< Its services in the model.
};

/// A pod of this node that is about to end.
struct LeavingPod {
  std::string ns, name;
  std::vector<std::string> addresses;
  bool on_host_network = false;  ///< Others have the same addresses.
  bool operator==(const LeavingPod&) const = default;
};

/// One thread at a time.
class Translator {
 public:
  explicit Translator(TranslateOptions options);

  /// Takes the change over and tells what it makes of the model. Only what a translation reads is kept of an object.
  Delta apply(ObjectChange change);
  /// Takes it over and leaves the model as it is until the next apply(): while the first lists come in, for a service
  /// would be translated once without its slices and once with them.
  void hold(ObjectChange change);
  /// Another node, zone or address: everything is translated again. If they are as they were, what was held alone.
  Delta set_options(TranslateOptions options);
  /// The same, for who reads the model: at 50,000 services what changed would be as large as the model, once more.
  void settle(TranslateOptions options);

  /// These pods, and no others, are leaving. Their endpoints are as ones that terminate, whatever the slices still say:
  /// nothing new is sent to them unless there is nobody else. Not those of a service that publishes addresses that are
  /// not ready.
  Delta set_leaving(std::vector<LeavingPod> pods);

  const TranslateOptions& options() const { return options_; }
  const Model& model() const { return model_; }
  /// The Services that have come, in order: "namespace/name".
  std::vector<std::string> service_names() const;
  /// Nothing for one that has not come, or is gone.
  std::optional<KnownService> find(const std::string& name) const;
  /// Each EndpointSlice that has come, in no order.
  void for_each_slice(const std::function<void(const kube::EndpointSlice&)>& visit) const;
  size_t service_count() const { return service_count_; }
  size_t slice_count() const { return slice_service_.size(); }

 private:
  // An object is read when something of its entry changes, which is seldom, and kept all the time: packed
  // (kube/pack.h).
  struct Slice {
    std::string key;
    std::string packed;
  };
  struct Entry {
    bool known = false;  // the Service itself has come
    bool dirty = false;
    uint16_t health_port = 0;
    std::string service;           // packed
    std::vector<Slice> slices;     // by key
    std::vector<ServiceKey> keys;  // of the model

    std::vector<kube::EndpointSlice> unpack_slices() const;
  };

  using Entries = std::unordered_map<std::string, Entry>;

  Entries::value_type& touch(const std::string& key);
  void put_service(kube::Service service);
  void put_slice(kube::EndpointSlice slice);
  void remove_service(const std::string& key);
  void remove_slice(const std::string& key);
  void retain(const ObjectChange& change);
  void take_options(TranslateOptions options);
  /// Adds to `delta`, if it is there.
  void translate_dirty(Delta* delta);
  void translate_entry(const std::string& key, Entry& entry, Delta* delta);
  void claim_health_port(const std::string& key, Entry& entry, uint16_t port, const HealthCheck& check);

  bool is_leaving(const kube::Endpoint& endpoint) const;

  TranslateOptions options_;
  std::vector<LeavingPod> leaving_;
  std::vector<std::string> dirty_;                                     // services to be translated again
  Entries entries_;                                                    // by the service's key
  std::unordered_map<std::string, const std::string*> slice_service_;  // slice -> service, as entries_ has it
  // Two services may name one port until the API server has told them apart: the first by name has it.
  std::map<uint16_t, std::map<std::string, HealthCheck>> health_claims_;
  Model model_;
  size_t service_count_ = 0;
};

}  // namespace keelson::dataplane
