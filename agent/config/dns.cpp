// SPDX-License-Identifier: Apache-2.0
// The kubelet's files, letter by letter.
#include "agent/config/dns.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

namespace keelson::agent {

namespace {

constexpr size_t kMaxServers = 3;
constexpr size_t kMaxSearches = 32;
constexpr size_t kMaxSearchCharacters = 2048;
constexpr size_t kMaxHostname = 63;
constexpr size_t kMaxFqdn = 64;

cri::DnsConfig parse_resolv_conf(const std::string& text) {
  cri::DnsConfig out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string key;
    words >> key;
    if (key == "search" || key == "options") {
      auto& list = key == "search" ? out.searches : out.options;
      list.clear();
      for (std::string word; words >> word;) {
        list.push_back(word);
      }
    } else if (std::string word; key == "nameserver" && words >> word) {
      out.servers.push_back(word);
    }
  }
  return out;
}

void add_missing(std::vector<std::string>& list, const std::string& item) {
  if (std::find(list.begin(), list.end(), item) == list.end()) {
    list.push_back(item);
  }
}

void limit(cri::DnsConfig& dns) {
  dns.servers.resize(std::min(dns.servers.size(), kMaxServers));
  dns.searches.resize(std::min(dns.searches.size(), kMaxSearches));
  size_t characters = 0;
  for (size_t i = 0; i < dns.searches.size(); ++i) {
    characters += dns.searches[i].size() + 1;
    if (characters > kMaxSearchCharacters + 1) {
      dns.searches.resize(i);
    }
  }
}

std::string domain_of(const kube::Pod& pod, const ClusterDns& cluster) {
  return pod.spec.subdomain.empty() ? ""
                                    : fmt::format("{}.{}.svc.{}", pod.spec.subdomain, pod.metadata.ns, cluster.domain);
}

std::string short_name(const kube::Pod& pod) {
  auto name = pod.spec.hostname.empty() ? pod.metadata.name : pod.spec.hostname;
  if (name.size() > kMaxHostname) {
    name.resize(kMaxHostname);
    name.erase(name.find_last_not_of("-.") + 1);
  }
  return name;
}

}  // namespace

cri::DnsConfig make_dns(const kube::Pod& pod, const ClusterDns& cluster, const std::string& host) {
  auto policy = pod.spec.dns_policy;
  if (policy == kube::DnsPolicy::cluster_first && pod.spec.host_network) {
    policy = kube::DnsPolicy::default_policy;
  }
  bool of_cluster = policy == kube::DnsPolicy::cluster_first || policy == kube::DnsPolicy::cluster_first_with_host_net;
  cri::DnsConfig out;
  if (policy != kube::DnsPolicy::none) {
    out = parse_resolv_conf(host);
  }
  if (of_cluster && !cluster.servers.empty()) {
    out.servers = cluster.servers;
    auto own = std::move(out.searches);
    out.searches = {fmt::format("{}.svc.{}", pod.metadata.ns, cluster.domain), "svc." + cluster.domain, cluster.domain};
    for (const auto& search : own) {
      add_missing(out.searches, search);
    }
    out.options = {"ndots:5"};
  } else if (policy != kube::DnsPolicy::none && !cluster.loopback.empty()) {
    // No name server at all would mean the runtime's own file; the resolver's default without one is the same machine.
    out.servers = cluster.loopback;
    out.searches = {"."};
  }
  if (pod.spec.dns_config) {
    for (const auto& server : pod.spec.dns_config->nameservers) {
      add_missing(out.servers, server);
    }
    for (const auto& search : pod.spec.dns_config->searches) {
      add_missing(out.searches, search);
    }
    for (const auto& option : pod.spec.dns_config->options) {
      // The pod's value of an option replaces the policy's.
      std::erase_if(out.options,
                    [&](const std::string& o) { return o == option.name || o.starts_with(option.name + ":"); });
      out.options.push_back(option.value ? option.name + ":" + *option.value : option.name);
    }
  }
  limit(out);
  return out;
}

Result<std::string> make_hostname(const kube::Pod& pod, const ClusterDns& cluster) {
  auto name = short_name(pod);
  auto domain = domain_of(pod, cluster);
  if (!pod.spec.set_hostname_as_fqdn.value_or(false) || domain.empty()) {
    return name;
  }
  auto fqdn = name + "." + domain;
  if (fqdn.size() > kMaxFqdn) {
    return fail(Kind::invalid,
                "failed to construct FQDN from pod hostname and cluster domain, FQDN {} is too long ({} characters is "
                "the max, {} characters requested)",
                fqdn, kMaxFqdn, fqdn.size());
  }
  return fqdn;
}

std::string make_hosts(const kube::Pod& pod, const std::vector<std::string>& pod_ips, const ClusterDns& cluster,
                       const std::string& host) {
  std::string out;
  if (pod.spec.host_network) {
    out = "# Kubernetes-managed hosts file (host network).\n" + host;
  } else {
    out =
        "# Kubernetes-managed hosts file.\n"
        "127.0.0.1\tlocalhost\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\n"
        "fe00::0\tip6-localnet\n"
        "fe00::0\tip6-mcastprefix\n"
        "fe00::1\tip6-allnodes\n"
        "fe00::2\tip6-allrouters\n";
    auto domain = domain_of(pod, cluster);
    auto name = short_name(pod);
    for (const auto& ip : pod_ips) {
      out +=
          domain.empty() ? fmt::format("{}\t{}\n", ip, name) : fmt::format("{}\t{}.{}\t{}\n", ip, name, domain, name);
    }
  }
  if (!pod.spec.host_aliases.empty()) {
    out += "\n# Entries added by HostAliases.\n";
    for (const auto& alias : pod.spec.host_aliases) {
      out += alias.ip;
      for (const auto& name : alias.hostnames) {
        out += "\t" + name;
      }
      out += "\n";
    }
  }
  return out;
}

}  // namespace keelson::agent
