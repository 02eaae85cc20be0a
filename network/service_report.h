// SPDX-License-Identifier: Apache-2.0
// What people and programs are told of services: the API's own objects, and beside them what this node makes of them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "dataplane/translate/translator.h"

namespace keelson::network {

/// How far a service of the model is in the kernel.
struct RouteState {
  bool programmed = false;
  uint64_t new_flows = 0;  ///< Since its row was made.
};
using RouteStates = std::function<RouteState(const dataplane::ServiceKey&)>;

/// A v1 Service as JSON, with the member "routing" beside its own: "routes", one for each port and family (port,
/// family, protocol, programmed, newFlows, frontends), and "endpoints" with how many are ready, serving and
/// terminating, and how many of the ready run here.
std::string service_json(const dataplane::KnownService& known, const dataplane::Model& model, const RouteStates& states,
                         std::string_view node_name);

/// A v1 Endpoints as JSON: a subset for each EndpointSlice. An address has, beside its own members, zone, conditions
/// and local; those that are not ready are the notReadyAddresses.
std::string endpoints_json(const dataplane::KnownService& known, std::string_view node_name);

}  // namespace keelson::network
