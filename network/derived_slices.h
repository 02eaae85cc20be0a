// SPDX-License-Identifier: Apache-2.0
// EndpointSlices of services that select pods, where no control plane makes them: the rules of the endpoint slice
// controller (k8s.io/endpointslice), as a pure function.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "kube/endpoint_slice.h"
#include "kube/pod.h"
#include "kube/service.h"

namespace keelson::network {

/// The slices of a service with a selector: one for each family that its cluster IPs have (of both, if it has none) and
/// each way in which the pods' named ports resolve. Pods that have ended, have no address yet, or are of another
/// namespace are no endpoints. `pods`: of this node, `node_name`, by "namespace/name". None without a selector.
std::vector<kube::EndpointSlice> derive_slices(const kube::Service& service,
                                               const std::map<std::string, kube::Pod>& pods,
                                               const std::string& node_name);

}  // namespace keelson::network
