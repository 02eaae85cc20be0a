// SPDX-License-Identifier: Apache-2.0
// What a probe or hook of a spec asks for, as an address: named ports looked up, defaults filled in.
#pragma once

#include <string>

#include "kube/pod.h"
#include "probes/probe.h"

namespace keelson::agent {

/// The port's number; 0 if the container has none of that name.
uint16_t port_of(const kube::Container& container, const kube::IntOrString& port);
probes::Target http_target(const kube::Container& container, const kube::HttpGetAction& get, const std::string& pod_ip);

}  // namespace keelson::agent
