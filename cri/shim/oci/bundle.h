// SPDX-License-Identifier: Apache-2.0
// What an OCI runtime reads: a container as config.json of its bundle, an exec as a process file (OCI
// runtime-spec 1.0.2, config.md and config-linux.md). Pure functions.
#pragma once

#include <string>
#include <vector>

#include "cri/shim/protocol.h"
#include "cri/shim/user_lookup.h"

namespace keelson::cri::shim::oci {

/// A namespace of the container: one of the sandbox's, by its path, or a new one.
struct Namespace {
  std::string type;  ///< "pid", "network", "ipc", "uts", "mount", "cgroup"
  std::string path;  ///< empty: new
};

/// `user` is who ProcessSpec::user means in the container's own root.
struct Process {
  const ProcessSpec& spec;
  const User& user;
  int32_t oom_score_adj = 0;
};

/// config.json. The root is "rootfs" in the bundle. A namespace that is not listed is the runtime's own.
std::string config_document(const ContainerSpec& spec, const User& user, const std::vector<Namespace>& namespaces);

/// The file behind `exec --process`. Seccomp is not in it: the runtime takes the container's.
std::string process_document(const Process& process);

}  // namespace keelson::cri::shim::oci
