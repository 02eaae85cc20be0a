// SPDX-License-Identifier: Apache-2.0
// Would the API server accept this object? All faults at once, in its words.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kube/objects.h"
#include "kube/pod.h"

namespace keelson::kube {

/// One fault: "spec.containers[0].livenessProbe.httpGet.port" and "Invalid value: 70000: must be between 1 and 65535,
/// inclusive".
struct FieldError {
  std::string path;
  std::string text;

  std::string message() const { return path.empty() ? text : path + ": " + text; }
  bool operator==(const FieldError&) const = default;
};
using FieldErrors = std::vector<FieldError>;

/// Checks a pod that default_pod() has seen. Empty: valid. Also refuses what the API has and this node cannot do
/// (volume sources). Pure; knows nothing of the node, so an unknown host path or image is not its business.
FieldErrors validate_pod(const Pod& pod);
/// Names, keys ([-._a-zA-Z0-9]+, at most 253), no key in both maps, at most 1 MiB.
FieldErrors validate_config_map(const ConfigMap& config_map);
/// The same; never names a value.
FieldErrors validate_secret(const Secret& secret);
/// Names, no namespace, no negative overhead.
FieldErrors validate_runtime_class(const RuntimeClass& runtime_class);
/// The fields that routing reads: ports, addresses, ranges, affinity.
FieldErrors validate_service(const Service& service);
FieldErrors validate_endpoint_slice(const EndpointSlice& slice);
/// Names, pod ranges (one a family at most), taints, no namespace.
FieldErrors validate_node(const Node& node);

/// Why this is no key of an annotation ("[prefix/]name", letters of either case); empty: it is one.
std::string annotation_key_fault(std::string_view key);

}  // namespace keelson::kube
