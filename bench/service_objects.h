// SPDX-License-Identifier: Apache-2.0
// The Services and EndpointSlices that a bench routes, the same for ours and for its peer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kube/endpoint_slice.h"
#include "kube/service.h"

namespace keelson::bench {

/// What is measured among them: on the pods of a ServiceWorld, TCP and UDP, a node port for both.
inline constexpr const char* kTargetName = "target";
inline constexpr const char* kTargetAddress = "10.96.0.10";
inline constexpr uint16_t kTargetPort = 80;
inline constexpr uint16_t kTargetNodePort = 30080;

struct ServiceWithSlice {
  kube::Service service;
  kube::EndpointSlice slice;
};

/// The first is the target; the others are ClusterIPs of one TCP port and two endpoints of their own, all with ready
/// addresses that lead nowhere. At most 60,000: their addresses are 10.96.1.0 and on. `first` is where to begin:
/// services_with_slices(10, 4) are the last six of ten.
std::vector<ServiceWithSlice> services_with_slices(uint32_t count, uint32_t first = 0);

/// As the API takes it by POST.
std::string to_json(const kube::Service& service);
std::string to_json(const kube::EndpointSlice& slice);

}  // namespace keelson::bench
