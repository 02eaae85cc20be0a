// SPDX-License-Identifier: Apache-2.0
#include "network/preflight/preflight.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "common/netlink.h"
#include "ebpf/features.h"
#include "network/kube_proxy/presence.h"
#include "network/preflight/api_trial.h"
#include "network/preflight/capabilities.h"
#include "network/preflight/kernel_trial.h"
#include "network/preflight/packet_filters.h"

namespace keelson::network {
namespace {

namespace fs = std::filesystem;

Finding ok(std::string subject, std::string text) {
  return {std::move(subject), Outcome::ok, std::move(text), ""};
}

Finding check_capabilities() {
  auto missing = missing_capabilities();
  if (!missing) {
    return {"capabilities", Outcome::warning, missing.error().message(), ""};
  }
  std::string all, lacking;
  for (const auto& needed : needed_capabilities()) {
    all += fmt::format("{}{}", all.empty() ? "" : ", ", needed.name);
  }
  for (const auto& capability : *missing) {
    lacking += fmt::format("{}{} ({})", lacking.empty() ? "" : ", ", capability.name, capability.why);
  }
  if (lacking.empty()) {
    return ok("capabilities", all);
  }
  return {"capabilities", Outcome::failed, "this process lacks " + lacking,
          "run as root, or grant them: deploy/kubernetes lists all that are needed"};
}

/// The nearest folder that exists.
std::string existing_parent(std::string path) {
  std::error_code ignored;
  while (path.size() > 1 && !fs::exists(path, ignored)) {
    path = fs::path(path).parent_path();
  }
  return path;
}

Finding check_bpffs(const std::string& bpf_dir) {
  struct statfs info{};
  auto folder = existing_parent(bpf_dir);
  if (statfs(folder.c_str(), &info) != 0 || static_cast<unsigned long>(info.f_type) != BPF_FS_MAGIC) {
    return {"bpffs", Outcome::failed, fmt::format("{} is on no bpffs", bpf_dir),
            "mount -t bpf bpf /sys/fs/bpf (and see bpfDir)"};
  }
  if (access(folder.c_str(), W_OK) != 0) {
    return {"bpffs", Outcome::failed, fmt::format("{}: {}", folder, errno_text(errno)),
            "mount it writable for this user"};
  }
  return ok("bpffs", bpf_dir + (folder == bpf_dir ? "" : " (will be made)"));
}

Result<std::string> socket_cgroup(const PreflightOptions& options) {
  if (options.socket_cgroup.empty()) {
    return ebpf::cgroup2_root();
  }
  struct statfs info{};
  if (statfs(options.socket_cgroup.c_str(), &info) != 0) {
    return fail_errno(errno, "socketCgroup {}", options.socket_cgroup);
  }
  if (static_cast<unsigned long>(info.f_type) != CGROUP2_SUPER_MAGIC) {
    return fail(Kind::invalid, "socketCgroup {} is no cgroup of version 2", options.socket_cgroup);
  }
  return options.socket_cgroup;
}

Finding check_kernel(const PreflightOptions& options, const std::string& cgroup) {
  utsname name{};
  uname(&name);
  auto version = fmt::format("{} {}", name.sysname, name.release);
  TrialOptions trial{fmt::format("{}-check-{}", options.bpf_dir, getpid()), cgroup};
  if (auto loaded = try_loading(trial); !loaded) {
    return {"kernel", Outcome::failed, fmt::format("{}: {}", version, loaded.error().message()),
            "a kernel of 5.14 or later with CONFIG_BPF_SYSCALL, CONFIG_CGROUP_BPF and CONFIG_NET_CLS_ACT"};
  }
  if (cgroup.empty()) {
    return ok("kernel", version + " takes the programs; they were not attached");
  }
  auto attached = try_attaching(trial);
  if (attached) {
    return ok("kernel", version + " takes the programs, at links and at sockets");
  }
  if (attached.error().kind() == Kind::permission) {
    return ok("kernel",
              fmt::format("{} takes the programs; attaching was not tried ({})", version, attached.error().message()));
  }
  return {
      "kernel", Outcome::failed, fmt::format("{}: {}", version, attached.error().message()),
      "programs are attached to links by tcx (Linux 6.6), or by clsact: CONFIG_NET_SCH_INGRESS, CONFIG_NET_CLS_BPF"};
}

Finding check_features() {
  auto features = ebpf::probe_features();
  std::string present, without;
  for (const auto& feature : features) {
    if (feature.present) {
      present += fmt::format("{}{}", present.empty() ? "" : ", ", feature.name);
    } else if (!feature.needed) {
      without +=
          fmt::format("{}{} (Linux {}): {}", without.empty() ? "" : "; ", feature.name, feature.since, feature.purpose);
    }
  }
  if (auto missing = ebpf::missing_features(features); !missing.empty()) {
    return {"kernel features", Outcome::failed, "there is no " + missing,
            "a kernel that has them, or the capabilities above: without these nothing can be tried"};
  }
  if (!without.empty()) {
    return {"kernel features", Outcome::warning, "without " + without, "nothing has to be done: services are routed"};
  }
  return ok("kernel features", present);
}

Finding check_links(const ebpf::LinkRules& rules) {
  auto netlink = Netlink::open();
  if (!netlink) {
    return {"links", Outcome::failed, netlink.error().message(), ""};
  }
  auto links = netlink->list_links();
  auto way_out = netlink->default_link();
  if (!links || !way_out) {
    return {"links", Outcome::failed, (links ? way_out.error() : links.error()).message(), ""};
  }
  std::string uplinks, missing;
  size_t pods = 0;
  for (const auto& name : rules.uplinks) {
    if (std::ranges::none_of(*links, [&](const Link& link) { return link.name == name; })) {
      missing += (missing.empty() ? "" : ", ") + name;
    }
  }
  for (const auto& link : *links) {
    bool named = std::ranges::find(rules.uplinks, link.name) != rules.uplinks.end();
    if (rules.uplinks.empty() ? *way_out && (*way_out)->value == link.index.value : named) {
      uplinks += (uplinks.empty() ? "" : ", ") + link.name;
    } else {
      pods += link.kind == "veth";
    }
  }
  if (!missing.empty()) {
    return {"links", Outcome::failed, "no link " + missing, "name the node's own links in uplinks"};
  }
  if (uplinks.empty()) {
    return {"links", Outcome::warning, "no default route: services do not answer to the outside",
            "name the links that others reach this node by in uplinks"};
  }
  return ok("links", fmt::format("uplink {}, {} pod links", uplinks, pods));
}

/// As the servers listen: 0.0.0.0 and :: both mean every address.
Result<> try_listening(const http::BindAddress& where) {
  auto host = where.host == "0.0.0.0" ? "::" : where.host;
  sockaddr_in v4{.sin_family = AF_INET, .sin_port = htons(where.port), .sin_addr = {}, .sin_zero = {}};
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(where.port);
  bool is_v4 = inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1;
  inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr);
  const auto* address = is_v4 ? reinterpret_cast<const sockaddr*>(&v4) : reinterpret_cast<const sockaddr*>(&v6);
  Fd socket(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket || bind(socket.get(), address, is_v4 ? sizeof v4 : sizeof v6) != 0 || listen(socket.get(), 1) != 0) {
    if (errno == EADDRINUSE) {
      return fail(Kind::exists, "{} is taken", where.to_string());
    }
    return fail_errno(errno, "{}", where.to_string());
  }
  return {};
}

Finding check_port(const ListeningPort& wanted) {
  auto subject = fmt::format("port {}", wanted.where.port);
  auto listened = try_listening(wanted.where);
  if (listened) {
    return ok(subject, fmt::format("free ({} at {})", wanted.purpose, wanted.where.to_string()));
  }
  if (listened.error().kind() != Kind::exists) {
    return {subject, Outcome::warning, listened.error().message(),
            fmt::format("give the server of {} an address of this node", wanted.purpose)};
  }
  return {subject, Outcome::warning,
          fmt::format("taken ({} at {}): another service proxy's, such as kube-proxy's, or our own daemon's",
                      wanted.purpose, wanted.where.to_string()),
          "give one of the two another address; until then ours is not served, and asks for it again and again"};
}

Finding check_other_proxies() {
  auto presence = find_other_proxies();
  std::string found, not_looked;
  for (const auto& other : presence.found) {
    found += fmt::format("{}{}: {}", found.empty() ? "" : "; ", other.name, other.evidence);
  }
  for (const auto& reason : presence.not_looked) {
    not_looked += (not_looked.empty() ? "" : "; ") + reason;
  }
  if (!found.empty()) {
    return {"service proxies", Outcome::warning, found,
            "two can run, ours acts before its rules do; --service-mode shadow compares, deploy/kubernetes tells how "
            "to take over without a lost connection"};
  }
  if (!not_looked.empty()) {
    return {"service proxies", Outcome::warning, "not all could be looked for: " + not_looked,
            "make sure that no kube-proxy runs here, or that its mode is told by its own /proxyMode"};
  }
  return ok("service proxies", "no other has rules here");
}

std::string joined(const std::vector<std::string>& texts) {
  return fmt::format("{}", fmt::join(texts, "; "));
}

Finding check_packet_filters() {
  const auto filters = find_packet_filters();
  if (!filters.found.empty()) {
    std::vector<std::string> found;
    for (const auto& filter : filters.found) {
      found.push_back(filter.name + ": " + filter.evidence);
    }
    return {"packet filters", Outcome::warning, joined(found),
            "they do not see what tc sends to endpoints of services (from outside, UDP, and from sockets outside "
            "socketCgroup): it passes netfilter by, and no setting keeps it in the stack. A policy that must hold for "
            "that needs services left to kube-proxy on this node (--service-mode shadow routes nothing); TCP that is "
            "translated at connect(), and what does not go to services, they see as before"};
  }
  if (!filters.not_looked.empty()) {
    return {"packet filters", Outcome::warning, "not all could be looked for: " + joined(filters.not_looked),
            "make sure that no policy of pods, such as Calico's, is to hold for what comes by services: packets pass "
            "netfilter by"};
  }
  return ok("packet filters", "no rules here keep forwarded packets back");
}

Finding check_api_server(const std::string& kubeconfig) {
  auto server = try_api_server(kubeconfig);
  if (server) {
    return ok("API server", *server + " lets us list services, endpointslices and nodes");
  }
  return {"API server", Outcome::failed, server.error().message(),
          server.error().kind() == Kind::permission ? "grant what the ClusterRole in deploy/kubernetes lists"
                                                    : "see kubeconfig"};
}

}  // namespace

std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::ok:
      return "ok";
    case Outcome::warning:
      return "warning";
    case Outcome::failed:
      return "failed";
  }
  return "";
}

std::vector<Finding> preflight(const PreflightOptions& options) {
  std::vector<Finding> findings;
  findings.push_back(check_capabilities());
  findings.push_back(check_bpffs(options.bpf_dir));
  auto cgroup = socket_cgroup(options);
  findings.push_back(cgroup ? ok("cgroup v2", *cgroup)
                            : Finding{"cgroup v2", Outcome::failed, cgroup.error().message(),
                                      "mount -t cgroup2 none /sys/fs/cgroup/unified, or name one in socketCgroup"});
  findings.push_back(check_kernel(options, cgroup.value_or("")));
  findings.push_back(check_features());
  findings.push_back(check_links(options.links));
  findings.push_back(check_other_proxies());
  findings.push_back(check_packet_filters());
  for (const auto& port : options.ports) {
    findings.push_back(check_port(port));
  }
  if (!options.kubeconfig.empty()) {
    findings.push_back(check_api_server(options.kubeconfig));
  }
  return findings;
}

}  // namespace keelson::network
