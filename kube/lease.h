// SPDX-License-Identifier: Apache-2.0
// Lease (coordination.k8s.io/v1): who holds something, and until when; a node's is its heartbeat.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/result.h"
#include "kube/meta.h"

namespace keelson::kube {

/// Times have microseconds (metav1.MicroTime); what is finer is cut off.
struct Lease {
  ObjectMeta metadata;
  std::string holder_identity;
  int32_t lease_duration_seconds = 0;
  std::optional<WallTime> acquire_time;
  std::optional<WallTime> renew_time;
  int32_t lease_transitions = 0;  ///< How often it changed hands.
  bool operator==(const Lease&) const = default;
};

/// From an API server's JSON; unknown fields are ignored. Kind::invalid names field and reason.
Result<Lease> decode_lease(std::string_view text);
/// With apiVersion and kind.
std::string encode_json(const Lease& lease);

}  // namespace keelson::kube
