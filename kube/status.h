// SPDX-License-Identifier: Apache-2.0
// Status (metav1.Status): what the API server answers when it does not answer with what was asked for.
#pragma once

#include <cstdint>
#include <string>

namespace keelson::kube {

struct Status {
  int32_t code = 0;     ///< As the HTTP status: 410.
  std::string reason;   ///< "Expired", "Forbidden" ...; empty: unknown.
  std::string message;  ///< For people: "services is forbidden: User \"n1\" cannot list resource ...".
  int32_t retry_after_seconds = 0;
  bool operator==(const Status&) const = default;
};

}  // namespace keelson::kube
