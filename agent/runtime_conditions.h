// SPDX-License-Identifier: Apache-2.0
// What a runtime says it lacks, in the kubelet's words.
#pragma once

#include <string>

#include "cri/client/types.h"

namespace keelson::agent {

/// "container runtime not ready: RuntimeReady=false reason:... message:..."; empty: it is ready.
std::string runtime_lacks(const cri::RuntimeStatus& status);
/// "container runtime network not ready: NetworkReady=false reason:... message:..."; empty: it is ready.
std::string network_lacks(const cri::RuntimeStatus& status);

}  // namespace keelson::agent
