// SPDX-License-Identifier: Apache-2.0
#include "network/kube_proxy/presence.h"

#include <algorithm>

#include "common/fd.h"
#include "network/kube_proxy/netfilter.h"

namespace keelson::network {
namespace {

/// nftables: the table, as JSON. Kind::not_found: there is none.
Result<std::string> nft_table(dataplane::Family family) {
  bool v4 = family == dataplane::Family::ipv4;
  KEELSON_TRY(auto tables, run_nft({"list", "tables"}));
  if (tables.find(v4 ? "table ip kube-proxy\n" : "table ip6 kube-proxy\n") == tables.npos) {
    return fail(Kind::not_found, "no table kube-proxy");
  }
  return run_nft({"-j", "list", "table", v4 ? "ip" : "ip6", "kube-proxy"});
}

bool has_rules(const std::string& dump) {
  return dump.find("-A KUBE-SERVICES ") != dump.npos;
}

/// iptables of one of its two backends. Kind::not_found: none of kube-proxy's rules.
Result<std::string> kube_proxy_rules(dataplane::Family family, IptablesBackend backend) {
  KEELSON_TRY(auto dump, save_iptables(family, backend));
  if (!has_rules(dump)) {
    return fail(Kind::not_found, "no chain KUBE-SERVICES");
  }
  return dump;
}

size_t count(const std::string& text, std::string_view part) {
  size_t times = 0;
  for (size_t at = 0; (at = text.find(part, at)) != text.npos; at += part.size()) {
    times++;
  }
  return times;
}

struct Sign {
  std::string_view each;  ///< As often as it stands in the dump,
  const char* where;      ///< there is one of these in here:
  const char* what;
};

void look(Presence& presence, const Result<std::string>& dump, const std::string& name, const Sign& sign) {
  if (dump) {
    presence.found.push_back({name, fmt::format("{} with {} {}", sign.where, count(*dump, sign.each), sign.what)});
  } else if (dump.error().kind() != Kind::not_found) {
    presence.not_looked.push_back(dump.error().message());
  }
}

}  // namespace

Presence find_other_proxies() {
  Presence presence;
  for (auto family : {dataplane::Family::ipv4, dataplane::Family::ipv6}) {
    std::string of = family == dataplane::Family::ipv4 ? "" : ", IPv6";
    look(presence, nft_table(family), "kube-proxy (nftables" + of + ")",
         {"\"chain\": {", "table kube-proxy", "chains"});
    for (auto backend : {IptablesBackend::nft, IptablesBackend::legacy}) {
      look(presence, kube_proxy_rules(family, backend), "kube-proxy (iptables" + of + ")",
           {"-A KUBE-SERVICES ", "chain KUBE-SERVICES", "rules"});
    }
  }
  std::ranges::sort(presence.not_looked);
  presence.not_looked.erase(std::unique(presence.not_looked.begin(), presence.not_looked.end()),
                            presence.not_looked.end());
  // Three lines are its heading.
  if (auto table = read_file("/proc/net/ip_vs"); table && count(*table, "\n") > 3) {
    presence.found.push_back({"kube-proxy (IPVS)", "/proc/net/ip_vs has services"});
  }
  if (read_file("/proc/net/dev").value_or("").find("cilium_host:") != std::string::npos) {
    presence.found.push_back({"Cilium", "link cilium_host"});
  }
  return presence;
}

Result<Ruleset> read_kube_proxy_rules(dataplane::Family family) {
  auto table = nft_table(family);
  if (table) {
    return Ruleset::from_nftables(*table);
  }
  std::string why = table.error().message();
  for (auto backend : {IptablesBackend::nft, IptablesBackend::legacy}) {
    auto dump = kube_proxy_rules(family, backend);
    if (dump) {
      return Ruleset::from_iptables(*dump);
    }
    why += "; " + dump.error().message();
  }
  return fail(Kind::not_found, "no rules of kube-proxy for IPv{}: {}", static_cast<int>(family), why);
}

}  // namespace keelson::network
