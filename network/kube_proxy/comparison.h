// SPDX-License-Identifier: Apache-2.0
// What we would do, beside what another proxy's rules do, for every destination and whoever sends.
#pragma once

#include <string>
#include <vector>

#include "dataplane/model.h"
#include "network/kube_proxy/ruleset.h"

namespace keelson::network {

/// A destination where the two are not the same, for one kind of sender.
struct Difference {
  std::string service;      ///< "default/web:http"; empty: only the other proxy knows the destination.
  std::string destination;  ///< "10.96.0.1:80/TCP".
  std::string from;         ///< "pod", "node", "outside".
  std::string ours;         ///< "10.2.0.2:8080, 10.3.0.1:8080 masqueraded", "rejected", "dropped", "not known".
  std::string theirs;
  bool operator==(const Difference&) const = default;
};

/// Addresses that stand for senders. None may be that of a backend: a pod that is sent to itself is masqueraded.
struct Senders {
  dataplane::Address pod, node, outside;
};

struct NodeView {
  Senders senders4, senders6;
  std::vector<dataplane::Address> addresses;  ///< Of the node.
};

/// In the order of our services, then what only they have. `family`: of the ruleset.
///
/// Not compared, because both are right: masquerading of what the node itself sends (its address is the node's
/// already); node ports on 127.0.0.0/8, which only iptables can serve; the health checks that no rule knows.
std::vector<Difference> compare(const dataplane::Model& model, const Ruleset& theirs, dataplane::Family family,
                                const NodeView& node);

}  // namespace keelson::network
