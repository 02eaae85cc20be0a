// SPDX-License-Identifier: Apache-2.0
// Registry credentials from imagePullSecrets (types kubernetes.io/dockerconfigjson and kubernetes.io/dockercfg).
#pragma once

#include <string>

#include "agent/pod_source.h"
#include "cri/client/types.h"

namespace keelson::agent {

/// The first credential of the pod's secrets, in order, whose registry is the image's; an empty one if there is none. A
/// secret that cannot be read is passed over.
cri::AuthConfig find_credentials(const kube::Pod& pod, const DesiredState& objects, const std::string& image);

}  // namespace keelson::agent
