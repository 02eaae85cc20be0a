// SPDX-License-Identifier: Apache-2.0
#include "network/pod_names.h"

namespace keelson::network {

std::string PodNames::of(const dataplane::Address& address) {
  const auto& sync = router_.last_sync();
  if (sync && sync->at != built_) {
    names_.clear();
    router_.translator().for_each_slice([this](const kube::EndpointSlice& slice) {
      for (const auto& endpoint : slice.endpoints) {
        if (endpoint.target_kind == "Pod" && !endpoint.addresses.empty()) {
          const auto& ns = endpoint.target_ns.empty() ? slice.metadata.ns : endpoint.target_ns;
          names_[endpoint.addresses.front()] = ns + "/" + endpoint.target_name;
        }
      }
    });
    built_ = sync->at;
  }
  auto known = names_.find(address.to_string());
  return known == names_.end() ? "" : known->second;
}

void PodNames::clear() {
  names_ = {};
  built_ = {};
}

}  // namespace keelson::network
