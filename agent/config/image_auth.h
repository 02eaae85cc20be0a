// SPDX-License-Identifier: Apache-2.0
// Registry credentials from imagePullSecrets (types kubernetes.io/dockerconfigjson and kubernetes.io/dockercfg).
#pragma once

#include <string>
#include <vector>

#include "cri/client/types.h"
#include "kube/folder/manifest_folder.h"

namespace keelson::agent {

/// The credentials of the pod's secrets that fit the image, in the order to try them (kubelet pkg/credentialprovider):
/// servers with the longest path first, then as the pod names its secrets. A server is "host[:port][/path]", its host's
/// labels may be globs ("*.example.com"). A secret that cannot be read is passed over.
std::vector<cri::AuthConfig> find_credentials(const kube::Pod& pod, const kube::DesiredState& objects,
                                              const std::string& image);

}  // namespace keelson::agent
