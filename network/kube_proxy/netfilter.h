// SPDX-License-Identifier: Apache-2.0
// What netfilter of this network namespace holds, as its stock programs print it. They only read.
#pragma once

#include <string>
#include <vector>

#include "common/result.h"
#include "dataplane/address.h"

namespace keelson::network {

/// iptables writes into nftables, or into the older tables of its own; either may hold rules.
enum class IptablesBackend { nft, legacy };

/// The output of iptables-save or ip6tables-save. Kind::not_found: the backend has no tables; unsupported: the program
/// is not installed; unavailable: it failed; timeout. Blocks.
Result<std::string> save_iptables(dataplane::Family family, IptablesBackend backend);

/// The output of nft(8) with these arguments; errors as above.
Result<std::string> run_nft(std::vector<std::string> arguments);

}  // namespace keelson::network
