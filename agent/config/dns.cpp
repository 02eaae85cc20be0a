// SPDX-License-Identifier: Apache-2.0
// The kubelet's files, letter by letter.
#include "agent/config/dns.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <sstream>

namespace keelson::agent {

namespace {

constexpr size_t kMaxServers = 3;
constexpr size_t kMaxSearches = 32;
constexpr size_t kMaxSearch = 253;
constexpr size_t kMaxSearchCharacters = 2048;
constexpr size_t kMaxHostname = 63;
constexpr size_t kMaxFqdn = 64;

std::string option_name(std::string_view option) {
  return std::string(option.substr(0, option.find(':')));
}

/// The last value of an option is the one that counts.
void set_option(std::vector<std::string>& options, std::string option) {
  std::erase_if(options, [name = option_name(option)](const auto& other) { return option_name(other) == name; });
  options.push_back(std::move(option));
}

/// One domain is one search, with a dot at its end or without.
void add_search(std::vector<std::string>& searches, std::string domain) {
  if (domain == ".") {
    return;
  }
  if (domain.ends_with('.')) {
    domain.pop_back();
  }
  searches.push_back(std::move(domain));
}

cri::DnsConfig parse_resolv_conf(const std::string& text) {
  cri::DnsConfig out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string key;
    words >> key;
    if (key == "search") {
      out.searches.clear();
      for (std::string word; words >> word;) {
        add_search(out.searches, std::move(word));
      }
    } else if (key == "options") {
      for (std::string word; words >> word;) {
        set_option(out.options, std::move(word));
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

struct LeftOut {
  bool servers = false;
  bool searches = false;
};

LeftOut limit(cri::DnsConfig& dns) {
  const LeftOut before{.servers = dns.servers.size() > kMaxServers, .searches = dns.searches.size() > kMaxSearches};
  dns.servers.resize(std::min(dns.servers.size(), kMaxServers));
  dns.searches.resize(std::min(dns.searches.size(), kMaxSearches));
  const size_t wanted = dns.searches.size();
  // Some resolvers (glibc 2.28) abort at a longer one.
  std::erase_if(dns.searches, [](const auto& search) { return search.size() > kMaxSearch; });
  size_t characters = 0;
  for (size_t i = 0; i < dns.searches.size(); ++i) {
    characters += dns.searches[i].size() + 1;
    if (characters > kMaxSearchCharacters + 1) {
      dns.searches.resize(i);
    }
  }
  return {.servers = before.servers, .searches = before.searches || dns.searches.size() < wanted};
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

cri::DnsConfig unlimited_dns(const kube::Pod& pod, const ClusterDns& cluster, const std::string& host) {
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
      set_option(out.options, option.value ? option.name + ":" + *option.value : option.name);
    }
  }
  return out;
}

}  // namespace

cri::DnsConfig make_dns(const kube::Pod& pod, const ClusterDns& cluster, const std::string& host) {
  auto out = unlimited_dns(pod, cluster, host);
  limit(out);
  return out;
}

std::vector<std::string> dns_left_out(const kube::Pod& pod, const ClusterDns& cluster, const std::string& host) {
  auto applied = unlimited_dns(pod, cluster, host);
  const LeftOut left_out = limit(applied);
  std::vector<std::string> told;
  if (left_out.servers) {
    told.push_back(fmt::format(
        "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: {}",
        fmt::join(applied.servers, " ")));
  }
  if (left_out.searches) {
    told.push_back(fmt::format(
        "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: {}",
        fmt::join(applied.searches, " ")));
  }
  return told;
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
