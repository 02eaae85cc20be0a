// SPDX-License-Identifier: Apache-2.0
// Which addresses a node has, as the kubelet finds them (pkg/kubelet/nodestatus/setters.go): what it was given, or else
// its name if that is an address, what DNS says of its name, its default route's. Machines get and lose addresses while
// they run, so this is asked again and again.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/result.h"
#include "kube/node.h"

namespace keelson::agent {

struct AddressRules {
  std::string node_name;
  /// --node-ip: one, or one of each family; "0.0.0.0" or "::": any of that family.
  std::vector<std::string> given;
};

/// What the machine says.
struct AddressSources {
  std::function<std::vector<std::string>(const std::string& name)> look_up;  ///< By DNS and /etc/hosts.
  std::function<std::vector<std::string>()> own;                             ///< Of all links, loopback's, too.
  std::function<std::string(bool six)> of_default_route;                     ///< Empty: none.
};

/// Kind::invalid: no address, more than two, or two of one family.
Result<> check_node_ips(const std::vector<std::string>& given);

/// The primary one first. Kind::invalid: an address that was given cannot be a node's, being a loopback one, say, or
/// none of this machine's; not_found: there is none.
Result<std::vector<std::string>> node_addresses(const AddressRules& rules, const AddressSources& sources);

/// Those of `given` that are addresses indeed: what a cloud controller is told.
std::vector<std::string> specified_addresses(const std::vector<std::string>& given);

/// The addresses of a Node that pods' hostIPs are: the first internal one, or else external one, and the first of the
/// other family (component-helpers GetNodeHostIPs). Empty: none is known.
std::vector<std::string> host_ips(const kube::Node& node);

}  // namespace keelson::agent
