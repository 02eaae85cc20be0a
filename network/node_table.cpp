// SPDX-License-Identifier: Apache-2.0
#include "network/node_table.h"

namespace keelson::network {
namespace {

NodeTable::Row row_of(const kube::Node& node) {
  NodeTable::Row row{.zone = std::string(kube::zone_of(node)), .leaving = kube::is_leaving(node)};
  for (const auto& address : node.addresses) {
    if (auto parsed = dataplane::Address::parse(address.address); parsed && address.type == "InternalIP") {
      row.addresses.push_back(*parsed);
    }
  }
  for (const auto& cidr : node.pod_cidrs) {
    if (auto parsed = dataplane::Prefix::parse(cidr)) {
      row.pod_cidrs.push_back(*parsed);
    }
  }
  return row;
}

}  // namespace

bool NodeTable::apply(const NodeChange& change) {
  auto before = rows;
  if (change.all) {
    rows.clear();
  }
  for (const auto& name : change.removed) {
    rows.erase(name);
  }
  for (const auto& node : change.changed) {
    rows[node.metadata.name] = row_of(node);
  }
  return rows != before;
}

const NodeTable::Row* NodeTable::find(const std::string& name) const {
  auto found = rows.find(name);
  return found == rows.end() ? nullptr : &found->second;
}

}  // namespace keelson::network
