// SPDX-License-Identifier: Apache-2.0
// What a Node's labels and taints say.
#include "kube/node.h"

#include <algorithm>

namespace keelson::kube {

std::string_view zone_of(const Node& node) {
  const auto it = node.metadata.labels.find(std::string(kZoneLabel));
  return it == node.metadata.labels.end() ? std::string_view() : std::string_view(it->second);
}

bool is_leaving(const Node& node) {
  return node.metadata.deletion_timestamp ||
         std::ranges::any_of(node.taints, [](const Taint& taint) { return taint.key == kToBeDeletedTaint; });
}

}  // namespace keelson::kube
