// SPDX-License-Identifier: Apache-2.0
// Registry credentials as Docker writes them: from imagePullSecrets (types kubernetes.io/dockerconfigjson and
// kubernetes.io/dockercfg), from files of the node, from credential providers.
#pragma once

#include <string>
#include <vector>

#include "agent/config/login_files.h"
#include "cri/client/types.h"
#include "kube/folder/manifest_folder.h"

namespace keelson::agent {

/// The credentials of the pod's secrets that fit the image, in the order to try them (kubelet pkg/credentialprovider):
/// servers with the longest path first, then as the pod names its secrets. A server is "host[:port][/path]", its host's
/// labels may be globs ("*.example.com"). A secret that cannot be read is passed over.
std::vector<cri::AuthConfig> find_credentials(const kube::Pod& pod, const kube::DesiredState& objects,
                                              const std::string& image);

/// Logins by server; `wrapped` as in LoginFile. A secret: never print or log it.
struct LoginDocument {
  std::string text;
  bool wrapped = true;
};
/// The same of other documents.
std::vector<cri::AuthConfig> find_logins(const std::vector<LoginDocument>& documents, const std::string& image);
/// The first of these files that can be read and holds a JSON object; none is fine. Blocks; thread-safe.
std::vector<LoginDocument> read_logins(const std::vector<LoginFile>& files);

/// Whether an image ("registry.example.com/a/b") is one of "*.example.com[:port][/path]".
bool image_matches(const std::string& glob, const std::string& image);

}  // namespace keelson::agent
