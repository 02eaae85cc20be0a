// SPDX-License-Identifier: Apache-2.0
// What the downward API tells a pod about itself: fieldRef and resourceFieldRef, and `$(VAR)` in text.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/result.h"
#include "kube/pod.h"

namespace keelson::agent {

/// What a pod may ask about its node.
struct NodeFacts {
  std::string name;
  std::vector<std::string> ips;
  int64_t allocatable_cpu_milli = 0;
  int64_t allocatable_memory = 0;
  int64_t allocatable_storage = 0;  ///< bytes of ephemeral-storage
};

/// metadata.name, metadata.labels['k'], status.podIP, ... Kind::invalid names a path that there is none.
Result<std::string> field_value(const kube::Pod& pod, const std::vector<std::string>& pod_ips, const NodeFacts& node,
                                const std::string& path);

/// limits.cpu, requests.memory, ... in units of the divisor, rounded up; a limit that is not set is the node's
/// allocatable.
Result<std::string> resource_value(const kube::Pod& pod, const kube::Container& container, const NodeFacts& node,
                                   const kube::ResourceFieldRef& reference);

/// `$(NAME)` by its value, `$$` as `$`; an unknown name stays as written (k8s.io/kubernetes third_party/forked
/// expansion).
std::string expand(const std::string& text, const std::map<std::string, std::string>& variables);

/// The same for a subPathExpr. Kind::invalid: a name without a value (missing value for "X"), or a path that is
/// absolute or goes up.
Result<std::string> expand_sub_path(const std::string& text, const std::map<std::string, std::string>& variables);

}  // namespace keelson::agent
