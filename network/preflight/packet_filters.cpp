// SPDX-License-Identifier: Apache-2.0
// packet_filters.h: both forms of rules become one graph of chains, walked from where forwarded packets come in.
#include "network/preflight/packet_filters.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include <boost/json.hpp>

#include "network/kube_proxy/netfilter.h"

namespace keelson::network {
namespace {

namespace json = boost::json;

/// A chain: where its packets may go, and whether it may keep one back.
struct Chain {
  std::set<std::string> next;
  bool stops = false;
};
using Chains = std::map<std::string, Chain>;

/// The chains that packets of `from` may pass, itself first. Those that are `passed_over` lead nowhere.
std::vector<std::string> reachable(const Chains& chains, const std::string& from,
                                   bool (*passed_over)(std::string_view)) {
  std::vector<std::string> found = {from};
  for (size_t i = 0; i < found.size(); ++i) {
    const auto chain = chains.find(found[i]);
    if (chain == chains.end()) {
      continue;
    }
    for (const auto& next : chain->second.next) {
      if (chains.contains(next) && !passed_over(next) && std::ranges::find(found, next) == found.end()) {
        found.push_back(next);
      }
    }
  }
  return found;
}

struct Engine {
  std::string_view prefix;  ///< Of its chains' names.
  const char* name;
};
constexpr Engine kEngines[] = {{"cali-", "Calico"},
                               {"KUBE-ROUTER-", "kube-router"},
                               {"KUBE-POD-FW-", "kube-router"},
                               {"WEAVE-NPC", "Weave Net"},
                               {"CNI-ISOLATION-", "the CNI plugin firewall"}};
/// kube-proxy's and the kubelet's chains begin with KUBE-, as kube-router's do.
constexpr std::string_view kOthers[] = {"KUBE-", "DOCKER", "LIBVIRT_"};

const Engine* engine_of(std::string_view chain) {
  const auto* found =
      std::ranges::find_if(kEngines, [&](const auto& engine) { return chain.starts_with(engine.prefix); });
  return found == std::end(kEngines) ? nullptr : found;
}

bool is_no_policy(std::string_view chain) {
  return engine_of(chain) == nullptr &&
         std::ranges::any_of(kOthers, [&](std::string_view prefix) { return chain.starts_with(prefix); });
}

bool keeps_back(std::string_view target) {
  return target == "DROP" || target == "REJECT" || target == "NFQUEUE";
}

struct FilterTable {
  Chains chains;
  bool forwards_nothing = false;  ///< By the policy of FORWARD.
};

/// Of table filter: what each chain's rules jump to.
FilterTable read_filter_table(std::string_view dump) {
  FilterTable table;
  bool filter = false;
  std::istringstream lines{std::string(dump)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string first;
    std::string name;
    words >> first;
    if (first.starts_with('*')) {
      filter = first == "*filter";
    } else if (filter && first.starts_with(':')) {
      table.chains[first.substr(1)];
      words >> name;
      table.forwards_nothing = table.forwards_nothing || (first == ":FORWARD" && name == "DROP");
    } else if (filter && first == "-A") {
      words >> name;
      auto& chain = table.chains[name];
      for (std::string word; words >> word;) {
        if (word.starts_with('"')) {  // a comment, say
          while (!(word.size() > 1 && word.ends_with('"')) && words >> word) {
          }
        } else if ((word == "-j" || word == "-g") && words >> word) {
          chain.stops = chain.stops || keeps_back(word);
          chain.next.insert(word);
        }
      }
    }
  }
  return table;
}

constexpr auto kPassNone = [](std::string_view) { return false; };

/// What a rule does, wherever in it that stands: a verdict may be in a map, which may have a name.
void collect(const json::value& value, const std::map<std::string, const json::value*>& maps, Chain& into) {
  if (const auto* list = value.if_array()) {
    for (const auto& item : *list) {
      collect(item, maps, into);
    }
    return;
  }
  const auto* object = value.if_object();
  if (object == nullptr) {
    return;
  }
  for (const auto& [key, member] : *object) {
    if (key == "drop" || key == "reject" || key == "queue") {
      into.stops = true;
    } else if (key == "jump" || key == "goto") {
      const auto* target = member.is_object() ? member.get_object().if_contains("target") : nullptr;
      if (target != nullptr && target->is_string()) {
        into.next.emplace(target->get_string());
      }
    } else if (key == "data" && member.is_string() && member.get_string().starts_with('@')) {
      const auto map = maps.find(std::string(member.get_string()).substr(1));
      if (map != maps.end()) {
        collect(*map->second, {}, into);
      }
    } else {
      collect(member, maps, into);
    }
  }
}

std::string text(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

/// One table of nftables.
struct NftTable {
  Chains chains;
  std::vector<std::string> bases;  ///< Chains at the hooks that forwarded packets pass.
  std::map<std::string, const json::value*> maps;
  std::vector<const json::object*> rules;
};

/// Written by iptables: told by its own programs.
bool is_of_iptables(const json::object& chain) {
  constexpr std::string_view kTables[] = {"filter", "nat", "mangle", "raw", "security"};
  const auto name = text(chain, "name");
  return std::ranges::find(kTables, text(chain, "table")) != std::end(kTables) &&
         (name == "FORWARD" || name == "POSTROUTING");
}

bool is_others_table(const std::string& table) {
  return table.ends_with(" kube-proxy") || table.find(" docker") != table.npos || table.find(" libvirt") != table.npos;
}

void take_chain(NftTable& table, const json::object& chain) {
  const auto name = text(chain, "name");
  auto& made = table.chains[name];
  const auto hook = text(chain, "hook");
  if (text(chain, "type") == "filter" && (hook == "forward" || hook == "postrouting") && !is_of_iptables(chain)) {
    table.bases.push_back(name);
    made.stops = made.stops || text(chain, "policy") == "drop";
  }
}

std::map<std::string, NftTable> read_nft_tables(const json::array& items) {
  std::map<std::string, NftTable> tables;
  for (const auto& item : items) {
    const auto* object = item.if_object();
    if (object == nullptr || object->empty() || !object->begin()->value().is_object()) {
      continue;
    }
    const auto kind = object->begin()->key();
    const auto& what = object->begin()->value().get_object();
    auto& table = tables[text(what, "family") + " " + text(what, "table")];
    if (kind == "chain") {
      take_chain(table, what);
    } else if (kind == "rule") {
      table.rules.push_back(&what);
    } else if (kind == "map") {
      if (const auto* elements = what.if_contains("elem")) {
        table.maps[text(what, "name")] = elements;
      }
    }
  }
  for (auto& [name, table] : tables) {
    for (const auto* rule : table.rules) {
      if (const auto* expression = rule->if_contains("expr")) {
        collect(*expression, table.maps, table.chains[text(*rule, "chain")]);
      }
    }
  }
  return tables;
}

Result<std::vector<PacketFilter>> look_into_iptables(dataplane::Family family, IptablesBackend backend) {
  KEELSON_TRY(const auto dump, save_iptables(family, backend));
  return filters_in_iptables(dump);
}

Result<std::vector<PacketFilter>> look_into_nftables() {
  KEELSON_TRY(const auto rules, run_nft({"-j", "list", "ruleset"}));
  return filters_in_nftables(rules);
}

void add(PacketFilters& filters, Result<std::vector<PacketFilter>> found, std::string_view of) {
  if (!found) {
    if (found.error().kind() != Kind::not_found) {
      filters.not_looked.push_back(found.error().message());
    }
    return;
  }
  for (auto& filter : *found) {
    filter.name += of;
    filters.found.push_back(std::move(filter));
  }
}

}  // namespace

std::vector<PacketFilter> filters_in_iptables(std::string_view dump) {
  const auto table = read_filter_table(dump);
  std::vector<PacketFilter> found;
  std::string stopping;
  for (const auto& chain : reachable(table.chains, "FORWARD", is_no_policy)) {
    if (const auto* engine = engine_of(chain)) {
      if (std::ranges::find(found, engine->name, &PacketFilter::name) == found.end()) {
        found.push_back({engine->name, fmt::format("chain FORWARD leads to {}", chain)});
      }
    } else if (const auto known = table.chains.find(chain); known != table.chains.end() && known->second.stops) {
      stopping += (stopping.empty() ? "" : ", ") + chain;
    }
  }
  const bool docker =
      std::ranges::any_of(table.chains, [](const auto& entry) { return entry.first.starts_with("DOCKER"); });
  if (!stopping.empty()) {
    found.push_back({"iptables", fmt::format("rules of chain {} keep packets back", stopping)});
  } else if (table.forwards_nothing && !docker) {  // Docker sets it, for its own networks
    found.push_back({"iptables", "chain FORWARD drops what no rule accepts"});
  }
  return found;
}

Result<std::vector<PacketFilter>> filters_in_nftables(std::string_view text_of_rules) {
  boost::system::error_code error;
  const auto root = json::parse(text_of_rules, error);
  const auto* object = error ? nullptr : root.if_object();
  const auto* items = object != nullptr ? object->if_contains("nftables") : nullptr;
  if (items == nullptr || !items->is_array()) {
    return fail(Kind::invalid, "nft: its answer is no list of rules in JSON");
  }
  std::vector<PacketFilter> found;
  for (const auto& [name, table] : read_nft_tables(items->get_array())) {
    if (is_others_table(name)) {
      continue;
    }
    std::string stopping;
    for (const auto& base : table.bases) {
      const auto chains = reachable(table.chains, base, kPassNone);
      const auto stops = std::ranges::any_of(chains, [&](const auto& chain) { return table.chains.at(chain).stops; });
      if (stops && stopping.find(base) == stopping.npos) {
        stopping += (stopping.empty() ? "" : ", ") + base;
      }
    }
    if (!stopping.empty()) {
      const bool calico = name.ends_with(" calico");
      found.push_back({fmt::format("{}nftables table {}", calico ? "Calico, " : "", name),
                       fmt::format("chain {} may keep packets back", stopping)});
    }
  }
  return found;
}

PacketFilters find_packet_filters() {
  PacketFilters filters;
  for (const auto family : {dataplane::Family::ipv4, dataplane::Family::ipv6}) {
    for (const auto backend : {IptablesBackend::nft, IptablesBackend::legacy}) {
      add(filters, look_into_iptables(family, backend), family == dataplane::Family::ipv4 ? "" : " (IPv6)");
    }
  }
  add(filters, look_into_nftables(), "");
  std::ranges::sort(filters.not_looked);
  filters.not_looked.erase(std::unique(filters.not_looked.begin(), filters.not_looked.end()), filters.not_looked.end());
  return filters;
}

}  // namespace keelson::network
