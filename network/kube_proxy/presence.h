// SPDX-License-Identifier: Apache-2.0
// Other programs that route services on this node, known by what they leave in the kernel of this network namespace.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "dataplane/address.h"
#include "network/kube_proxy/ruleset.h"

namespace keelson::network {

struct OtherProxy {
  std::string name;      ///< "kube-proxy (nftables)", "kube-proxy (iptables)", "kube-proxy (IPVS)", "Cilium".
  std::string evidence;  ///< "chain KUBE-SERVICES with 37 rules".
};

struct Presence {
  std::vector<OtherProxy> found;
  std::vector<std::string> not_looked;  ///< "nft is not installed": what could not be looked for, and why.
};

/// Rules may have outlived the proxy that made them: that they are there does not say that it runs. Runs stock programs
/// for a moment; blocks.
Presence find_other_proxies();

/// The rules of kube-proxy for one family. Kind::not_found: there are none, of any kind that can be read (IPVS cannot).
/// Kind::timeout, invalid. Blocks.
Result<Ruleset> read_kube_proxy_rules(dataplane::Family family);

}  // namespace keelson::network
