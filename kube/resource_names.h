// SPDX-License-Identifier: Apache-2.0
// Kinds of resources, by their names (component-helpers v1helper).
#pragma once

#include <string_view>

namespace keelson::kube {

/// Of device plugins and of cluster operators ("vendor.com/x"), as opposed to Kubernetes' own.
inline bool is_extended_resource(std::string_view name) {
  return name.find('/') != std::string_view::npos && name.find("kubernetes.io/") == std::string_view::npos &&
         !name.starts_with("requests.");
}

/// Whether somebody may name an extended resource so: beside the above, what the API server takes for one, which must
/// do for a quota, too ("requests." before it).
bool is_valid_extended_resource(std::string_view name);

}  // namespace keelson::kube
