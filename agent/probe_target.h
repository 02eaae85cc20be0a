// SPDX-License-Identifier: Apache-2.0
// What a probe or hook of a spec asks for, as an address: named ports looked up, defaults filled in.
#pragma once

#include <string>

#include "common/result.h"
#include "kube/pod.h"
#include "probes/probe.h"

namespace keelson::agent {

/// The port's number. Kind::invalid with Go's text if the container has none of that name, which is no number either.
Result<uint16_t> port_of(const kube::Container& container, const kube::IntOrString& port);
/// What cannot be resolved is in the target's `error`.
probes::Target http_target(const kube::Container& container, const kube::HttpGetAction& get, const std::string& pod_ip);
/// `$(VAR)` in a command is replaced by what stands in the container's env, as the kubelet does.
probes::Target probe_target(const kube::Container& container, const kube::Probe& probe, const std::string& pod_ip);

}  // namespace keelson::agent
