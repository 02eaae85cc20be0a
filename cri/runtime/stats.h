// SPDX-License-Identifier: Apache-2.0
// What containers and pods use, in CRI's shape. Reads cgroup files, /proc and the writable layer; keeps nothing.
#pragma once

#include "cri/runtime/parts.h"

namespace keelson::cri {

::runtime::v1::ContainerStats stats_of(const Parts& parts, const Container& container);
/// The sum over its containers and its own cgroup; the network by interface, as the pod's processes see it.
::runtime::v1::PodSandboxStats stats_of(const Parts& parts, const Sandbox& sandbox);

}  // namespace keelson::cri
