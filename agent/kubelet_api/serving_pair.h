// SPDX-License-Identifier: Apache-2.0
// The certificate that a kubelet serves with where nobody has given it one: signed by itself.
#pragma once

#include <string>
#include <vector>

#include "common/clock.h"
#include "common/result.h"

namespace keelson::agent {

struct ServingPair {
  std::string certificate_file;
  std::string key_file;
};

/// <folder>/kubelet.crt and kubelet.key, as the kubelet's --cert-dir has them: what is there is kept while it is good
/// for another 30 days, otherwise made anew, for a year. `names`: the node's names and IP addresses. Errors name the
/// file.
Result<ServingPair> ensure_serving_pair(const std::string& folder, const std::vector<std::string>& names, WallTime now);

}  // namespace keelson::agent
