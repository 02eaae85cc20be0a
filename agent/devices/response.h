// SPDX-License-Identifier: Apache-2.0
// What plugins have a container get with its devices.
#pragma once

#include "agent/config/allotments.h"
#include "agent/devices/inventory.h"

namespace keelson::devices {

/// Of all resources together. What two of them give under one name (a variable, a path in the container, an
/// annotation) is the first's, as with the kubelet. What is no response gives nothing.
agent::ContainerAllotment allotment_of(const ContainerDevices& devices);

}  // namespace keelson::devices
