// SPDX-License-Identifier: Apache-2.0
// Names: resolv.conf, /etc/hosts, host names (kubelet pkg/kubelet/network/dns, KEP-1797).
#pragma once

#include <string>
#include <vector>

#include "common/result.h"
#include "cri/client/types.h"
#include "kube/pod.h"

namespace keelson::agent {

struct ClusterDns {
  std::vector<std::string> servers;
  std::string domain = "cluster.local";
  /// Of pods without the cluster's, on a node that gives them none of its own (resolvConf: ""): loopback of each of the
  /// node's families. Otherwise empty.
  std::vector<std::string> loopback;
};

/// The pod's resolv.conf by its policy, with at most 3 servers, 32 searches of at most 253 characters, and 2048
/// characters of them together. `host` is the text of the node's own file.
cri::DnsConfig make_dns(const kube::Pod& pod, const ClusterDns& cluster, const std::string& host);

/// What those limits leave out of it, in the kubelet's words; of servers and of searches one each at most.
std::vector<std::string> dns_left_out(const kube::Pod& pod, const ClusterDns& cluster, const std::string& host);

/// The pod's host name (its name or spec.hostname, 63 bytes at most), or its FQDN with setHostnameAsFQDN.
/// Kind::invalid: the FQDN is longer than 64 bytes.
Result<std::string> make_hostname(const kube::Pod& pod, const ClusterDns& cluster);

/// "# Kubernetes-managed hosts file." and what follows. With host networking: `host`, the node's own file, and the
/// aliases.
std::string make_hosts(const kube::Pod& pod, const std::vector<std::string>& pod_ips, const ClusterDns& cluster,
                       const std::string& host);

}  // namespace keelson::agent
