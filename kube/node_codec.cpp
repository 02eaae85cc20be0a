// SPDX-License-Identifier: Apache-2.0
// The objects by which a node is part of a cluster, from and to JSON; and what is sent of a Node when it changes.
#include <algorithm>

#include "kube/fields_node.h"
#include "kube/one_object.h"

namespace keelson::kube {

namespace {

Value map_of(std::string key, Value value) {
  Value map = Value::of_type(Value::Type::map);
  map.members.push_back({std::move(key), std::move(value)});
  return map;
}

/// What is in `after` or different there, and null for what is in `before` alone.
Value resources_patch(const ResourceList& before, const ResourceList& after) {
  Value patch = Value::of_type(Value::Type::map);
  for (const auto& [name, amount] : after) {
    const auto known = before.find(name);
    if (known == before.end() || known->second != amount) {
      patch.members.push_back({name, write_value(amount)});
    }
  }
  for (const auto& [name, amount] : before) {
    if (!after.contains(name)) {
      patch.members.push_back({name, Value()});
    }
  }
  std::ranges::sort(patch.members, {}, &Member::key);
  return patch;
}

Value conditions_patch(const std::vector<NodeCondition>& before, const std::vector<NodeCondition>& after) {
  Value list = Value::of_type(Value::Type::list);
  for (const NodeCondition& condition : after) {
    if (std::ranges::find(before, condition) != before.end()) {
      continue;
    }
    Value patch = write_value(condition);
    // What is left out is kept by the merge: an empty text must be said.
    for (const char* key : {"message", "reason"}) {
      if (patch.find(key) == nullptr) {
        patch.members.push_back({key, Value::of_string("")});
      }
    }
    list.items.push_back(std::move(patch));
  }
  return list;
}

Value addresses_patch(const std::vector<NodeAddress>& addresses) {
  Value list = write_value(addresses);
  // By type, which is the merge's key, two addresses of one type would be one (kubernetes/kubernetes#79391).
  list.items.push_back(map_of("$patch", Value::of_string("replace")));
  return list;
}

Value strings_patch(const StringMap& strings) {
  Value map = Value::of_type(Value::Type::map);
  for (const auto& [key, text] : strings) {
    map.members.push_back({key, text.empty() ? Value() : Value::of_string(text)});
  }
  return map;
}

}  // namespace

Result<FullNode> decode_full_node(std::string_view text) {
  return decode_one<FullNode>(text, "Node");
}
std::string encode_json(const FullNode& node) {
  return encode_one(node, "v1", "Node");
}
Result<Lease> decode_lease(std::string_view text) {
  return decode_one<Lease>(text, "Lease");
}
std::string encode_json(const Lease& lease) {
  return encode_one(lease, "coordination.k8s.io/v1", "Lease");
}
Result<CertificateRequest> decode_certificate_request(std::string_view text) {
  return decode_one<CertificateRequest>(text, "CertificateSigningRequest");
}
std::string encode_json(const CertificateRequest& request) {
  return encode_one(request, "certificates.k8s.io/v1", "CertificateSigningRequest");
}

std::string encode_status_patch(const NodeStatus& before, const NodeStatus& after) {
  Value status = Value::of_type(Value::Type::map);
  const auto add = [&status](std::string key, Value value) {
    if (!value.members.empty() || !value.items.empty() || value.type == Value::Type::null) {
      status.members.push_back({std::move(key), std::move(value)});
    }
  };
  /// A list that is no merge's: whole, or gone.
  const auto add_list = [&add](std::string key, const auto& old, const auto& now) {
    if (old != now) {
      add(std::move(key), now.empty() ? Value() : write_value(now));
    }
  };
  if (before.addresses != after.addresses) {
    add("addresses", addresses_patch(after.addresses));
  }
  add("allocatable", resources_patch(before.allocatable, after.allocatable));
  add("capacity", resources_patch(before.capacity, after.capacity));
  add("conditions", conditions_patch(before.conditions, after.conditions));
  if (before.kubelet_port != after.kubelet_port) {
    add("daemonEndpoints", map_of("kubeletEndpoint", map_of("Port", Value::of_integer(after.kubelet_port))));
  }
  if (before.supplemental_groups_policy != after.supplemental_groups_policy) {
    add("features", map_of("supplementalGroupsPolicy", write_value(after.supplemental_groups_policy)));
  }
  add_list("images", before.images, after.images);
  if (before.node_info != after.node_info) {
    add("nodeInfo", write_value(after.node_info));
  }
  add_list("runtimeHandlers", before.runtime_handlers, after.runtime_handlers);
  add_list("volumesInUse", before.volumes_in_use, after.volumes_in_use);
  return status.members.empty() ? "{}" : print_json(map_of("status", std::move(status)), false);
}

std::string encode_metadata_patch(const StringMap& labels, const StringMap& annotations) {
  Value metadata = Value::of_type(Value::Type::map);
  if (!annotations.empty()) {
    metadata.members.push_back({"annotations", strings_patch(annotations)});
  }
  if (!labels.empty()) {
    metadata.members.push_back({"labels", strings_patch(labels)});
  }
  return metadata.members.empty() ? "{}" : print_json(map_of("metadata", std::move(metadata)), false);
}

}  // namespace keelson::kube
