// SPDX-License-Identifier: Apache-2.0
// What pods are given of the node's own files.
#pragma once

#include "common/result.h"
#include "kube/volume.h"

namespace keelson::agent {

/// What the type of a hostPath asks for is there, or is made. Kind::invalid: something else is.
Result<> check_host_path(const kube::HostPathVolume& volume);

}  // namespace keelson::agent
