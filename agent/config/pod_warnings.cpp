// SPDX-License-Identifier: Apache-2.0
#include "agent/config/pod_warnings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace keelson::agent {

namespace {

bool wants_cluster_dns(const kube::Pod& pod) {
  return pod.spec.dns_policy == kube::DnsPolicy::cluster_first_with_host_net ||
         (pod.spec.dns_policy == kube::DnsPolicy::cluster_first && !pod.spec.host_network);
}

}  // namespace

std::vector<PodWarning> pod_warnings(const kube::Pod& pod, const kube::DesiredState& objects, const ClusterDns* dns) {
  std::vector<PodWarning> found;
  const auto& meta = pod.metadata;
  std::vector<std::string> missing;
  for (const auto& name : pod.spec.image_pull_secrets) {
    if (!name.empty() && !objects.secrets.contains(meta.ns + "/" + name)) {
      missing.push_back(name);
    }
  }
  if (!missing.empty()) {
    found.push_back(
        {"FailedToRetrieveImagePullSecret",
         fmt::format("Unable to retrieve some image pull secrets ({}); attempting to pull the image may not "
                     "succeed.",
                     fmt::join(missing, ", "))});
  }
  if (dns != nullptr && dns->servers.empty() && wants_cluster_dns(pod)) {
    found.push_back({"MissingClusterDNS",
                     fmt::format("pod: \"{}_{}({})\". kubelet does not have ClusterDNS IP configured and cannot create "
                                 "Pod using \"ClusterFirst\" policy. Falling back to \"Default\" policy.",
                                 meta.name, meta.ns, meta.uid)});
  }
  return found;
}

std::vector<PodWarning> dns_warnings(const kube::Pod& pod, const ClusterDns& dns, const std::string& host) {
  std::vector<PodWarning> found;
  for (auto& text : dns_left_out(pod, dns, host)) {
    found.push_back({"DNSConfigForming", std::move(text)});
  }
  return found;
}

}  // namespace keelson::agent
