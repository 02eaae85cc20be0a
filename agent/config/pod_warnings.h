// SPDX-License-Identifier: Apache-2.0
// What a pod asks for and does not get, though it starts all the same: told by events.
#pragma once

#include <vector>

#include "agent/config/dns.h"
#include "agent/pod_runtime.h"
#include "kube/folder/manifest_folder.h"
#include "kube/pod.h"

namespace keelson::agent {

/// FailedToRetrieveImagePullSecret: secrets that are not there; MissingClusterDNS: there is no DNS of the cluster's.
/// `dns` null: there is no cluster. Messages are the kubelet's.
std::vector<PodWarning> pod_warnings(const kube::Pod& pod, const kube::DesiredState& objects, const ClusterDns* dns);
/// DNSConfigForming: name servers or searches that were left out; see make_dns().
std::vector<PodWarning> dns_warnings(const kube::Pod& pod, const ClusterDns& dns, const std::string& host);

}  // namespace keelson::agent
