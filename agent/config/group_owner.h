// SPDX-License-Identifier: Apache-2.0
// fsGroup: a volume's files belong to a group (KEP-695).
#pragma once

#include <string>

#include "common/result.h"
#include "kube/security.h"

namespace keelson::agent {

/// Gives `folder` and all below it to the pod's fsGroup, readable and writable by it; folders hand it on to new files.
/// With "OnRootMismatch" nothing is done when `folder` itself is right. Containers may change the tree meanwhile: every
/// entry is taken by descriptor, links are not followed, other mounts are not entered. What vanishes is passed over.
Result<> give_to_group(const std::string& folder, const kube::PodSecurityContext& security);

}  // namespace keelson::agent
