// SPDX-License-Identifier: Apache-2.0
// What pods have been given, as the kubelet keeps it (devicemanager/checkpoint): a node may change from a kubelet to
// Keelson and back with its pods' devices.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/devices/inventory.h"
#include "common/result.h"

namespace keelson::devices {

struct Checkpoint {
  AssignedDevices assigned;
  ResourceIds registered;  ///< Healthy devices of each resource that plugins have told of.
  std::string boot_id;     ///< The machine's when it was written; empty: who wrote it did not say.
  bool operator==(const Checkpoint&) const = default;
};

/// JSON, with the kubelet's checksum.
std::string encode(const Checkpoint& checkpoint);
/// Kind::invalid: it is not one, or its checksum is of something else.
Result<Checkpoint> decode(std::string_view text);

}  // namespace keelson::devices
