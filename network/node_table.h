// SPDX-License-Identifier: Apache-2.0
// What Nodes tell that routing reads: this node's zone and whether it goes, the addresses of all.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "dataplane/address.h"
#include "network/object_source.h"

namespace keelson::network {

/// A plain value but for apply().
struct NodeTable {
  struct Row {
    std::string zone;
    bool leaving = false;                       ///< kube::is_leaving(): load balancers shall send it nothing new.
    std::vector<dataplane::Address> addresses;  ///< Its InternalIPs, in its order.
    std::vector<dataplane::Prefix> pod_cidrs;
    bool operator==(const Row&) const = default;
  };
  std::map<std::string, Row> rows;  ///< By name.

  /// True if that changed anything that is kept here (a heartbeat does not).
  bool apply(const NodeChange& change);
  /// nullptr: it is not known.
  const Row* find(const std::string& name) const;
};

}  // namespace keelson::network
