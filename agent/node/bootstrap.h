// SPDX-License-Identifier: Apache-2.0
// The kubeconfig of a node that has none yet: the cluster of the bootstrap kubeconfig, and a client certificate that is
// still to come.
#pragma once

#include <optional>
#include <string>

#include "common/result.h"

namespace keelson::agent {

/// Writes `path` for the cluster that `bootstrap` names, with `certificate_file` as client certificate and key. What is
/// there already stays. Kind::invalid or not_found: what is wrong with `bootstrap`.
Result<> ensure_kubeconfig(const std::string& path, const std::string& bootstrap, const std::string& certificate_file);

/// The certificate of the user of a kubeconfig's current context: its file, or empty if the kubeconfig itself holds it.
/// nullopt: it has none, or cannot be read.
std::optional<std::string> certificate_of_user(const std::string& kubeconfig);

/// Whether the user of a kubeconfig's current context has `certificate_file` as both. False also for a kubeconfig that
/// cannot be read.
bool names_certificate(const std::string& kubeconfig, const std::string& certificate_file);

}  // namespace keelson::agent
