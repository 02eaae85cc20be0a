// SPDX-License-Identifier: Apache-2.0
// What a node's services should do, beside what another proxy's rules do with them: nothing is programmed for it.
#pragma once

#include <string>
#include <vector>

#include "common/clock.h"
#include "common/result.h"
#include "dataplane/model.h"
#include "network/kube_proxy/comparison.h"
#include "network/network_role.h"
#include "network/node_table.h"

namespace keelson::network {

struct WantedServices {
  dataplane::Model model;
  NodeTable nodes;
};

/// As a daemon with these options would have it, in this thread's network namespace. Kind::timeout: the source had not
/// told all within `deadline`. Blocks.
Result<WantedServices> wanted_services(const NetworkOptions& options, Duration deadline);

/// Beside kube-proxy's rules in this thread's network namespace. Senders that are pods are taken from the podCIDRs of
/// the Node `node_name`; without any, pods are not compared. Kind::not_found: kube-proxy has no rules here. Blocks.
Result<std::vector<Difference>> compare_with_kube_proxy(const dataplane::Model& model, const NodeTable& nodes,
                                                        const std::string& node_name);

}  // namespace keelson::network
