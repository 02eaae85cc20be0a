// SPDX-License-Identifier: Apache-2.0
// Does the kernel take what a node would give it? The verifier's answer depends on version, configuration and patches,
// so nobody but this kernel knows: the programs are loaded and attached, where no traffic is.
#pragma once

#include <string>

#include "common/result.h"

namespace keelson::network {

struct TrialOptions {
  std::string pin_folder;  ///< On a bpffs, nobody else's; gone afterwards.
  std::string cgroup;      ///< A cgroup v2 below which a child may be made; gone afterwards.
};

/// Loads all programs. The error has the verifier's last words.
Result<> try_loading(const TrialOptions& options);

/// Loads, and attaches to the loopback of a new network namespace and to a new cgroup. Kind::permission: this process
/// may not make them (a namespace takes CAP_SYS_ADMIN, which the daemon itself does not need).
Result<> try_attaching(const TrialOptions& options);

}  // namespace keelson::network
