// SPDX-License-Identifier: Apache-2.0
// A CredentialProviderConfig (kubelet.config.k8s.io/v1, v1beta1, v1alpha1), as the kubelet takes it with
// --image-credential-provider-config.
#pragma once

#include <string>
#include <vector>

#include "agent/config/credential_plugins.h"

namespace keelson::agent {

/// Reads one file's text. Kind::invalid names "FILE:LINE: field: what is wrong"; unknown fields are refused, as is
/// tokenAttributes in other versions than v1.
Result<std::vector<CredentialProvider>> parse_credential_config(const std::string& text, const std::string& file);

/// Reads a file, or all *.json, *.yaml and *.yml of a folder, in order of their names; and looks whether `plugins` has
/// the providers' programs. Kind::invalid: no file, a name twice, a program that is not there.
Result<CredentialProviders> load_credential_config(const std::string& path, const std::string& plugins);

}  // namespace keelson::agent
