// SPDX-License-Identifier: Apache-2.0
#include "network/kube_proxy/ruleset.h"

#include <algorithm>

namespace keelson::network {
namespace {

constexpr int kDeepest = 16;
constexpr size_t kLongChain = 64;

enum class Holds { no, maybe, yes };

bool in_any(const std::vector<dataplane::Prefix>& prefixes, const dataplane::Address& address) {
  return std::ranges::any_of(prefixes, [&](const auto& prefix) { return prefix.contains(address); });
}

Holds holds(const Match& match, const Packet& packet) {
  bool yes = false;
  switch (match.what) {
    case Match::What::source:
      yes = in_any(match.prefixes, packet.source);
      break;
    case Match::What::destination:
      yes = in_any(match.prefixes, packet.destination);
      break;
    case Match::What::protocol:
      yes = match.protocol == packet.protocol;
      break;
    case Match::What::port:
      yes = match.port == packet.port;
      break;
    case Match::What::source_is_local:
      yes = packet.from_node;
      break;
    case Match::What::destination_is_local:
      yes = packet.to_node;
      break;
    case Match::What::may_hold:
      return Holds::maybe;
  }
  return yes != match.negated ? Holds::yes : Holds::no;
}

Holds holds(const Rule& rule, const Packet& packet) {
  auto all = Holds::yes;
  for (const auto& match : rule.matches) {
    all = std::min(all, holds(match, packet));
  }
  return all;
}

const Match* find(const Rule& rule, Match::What what) {
  auto found = std::ranges::find(rule.matches, what, &Match::what);
  return found != rule.matches.end() && !found->negated ? &*found : nullptr;
}

}  // namespace

Fate Ruleset::fate(const Packet& packet) const {
  Walk state{packet, {}};
  for (const auto& entry : entries_) {
    if (walk(entry, false, state) == Ending::ended) {
      break;
    }
    if (!state.fate.backends.empty()) {
      break;  // what some branch translates is not what the next table looks for
    }
  }
  return state.fate;
}

Ruleset::Ending Ruleset::walk(const std::string& name, bool masquerade, Walk& state) const {
  auto found = chains_.find(name);
  if (found == chains_.end() || state.depth > kDeepest) {
    return Ending::goes_on;
  }
  const auto& chain = found->second;
  state.depth++;
  auto ending = Ending::goes_on;
  auto each = [&](const Rule& rule) {
    auto held = holds(rule, state.packet);
    if (held == Holds::no) {
      return true;
    }
    if (rule.action == Rule::Action::back) {
      return held != Holds::yes;
    }
    bool last = rule.action == Rule::Action::go_to && held == Holds::yes;
    ending = apply(rule, held == Holds::yes, masquerade, state);
    return ending == Ending::goes_on && !last;
  };
  if (chain.by_port.empty()) {
    std::ranges::all_of(chain.rules, each);
  } else {
    auto of_port = chain.by_port.find(state.packet.port);
    const auto& numbers = of_port == chain.by_port.end() ? chain.any_port : of_port->second;
    std::ranges::all_of(numbers, [&](uint32_t number) { return each(chain.rules[number]); });
  }
  state.depth--;
  return ending;
}

/// A rule that holds, or may. Only one that holds for certain ends the walk.
Ruleset::Ending Ruleset::apply(const Rule& rule, bool certain, bool& masquerade, Walk& state) const {
  auto end = certain ? Ending::ended : Ending::goes_on;
  switch (rule.action) {
    case Rule::Action::masquerade:
      masquerade = true;
      return Ending::goes_on;
    case Rule::Action::jump:
    case Rule::Action::go_to: {
      // kube-proxy's own chain for the mark comes back with it.
      if (rule.chain == "KUBE-MARK-MASQ" || rule.chain == "mark-for-masquerade") {
        masquerade = masquerade || certain;
        return Ending::goes_on;
      }
      auto inner = walk(rule.chain, masquerade, state);
      return certain ? inner : Ending::goes_on;
    }
    case Rule::Action::dnat:
      state.fate.backends.insert(rule.to);
      state.fate.masquerade = state.fate.masquerade || masquerade;
      return end;
    case Rule::Action::reject:
      state.fate.rejected = true;
      return end;
    case Rule::Action::drop:
      state.fate.dropped = true;
      return end;
    case Rule::Action::accept:
      return end;
    case Rule::Action::go_on:
    case Rule::Action::back:
      break;
  }
  return Ending::goes_on;
}

std::set<std::pair<Endpoint, dataplane::Protocol>> Ruleset::destinations() const {
  std::set<std::pair<Endpoint, dataplane::Protocol>> found;
  for (const auto& name : of_destinations_) {
    auto chain = chains_.find(name);
    if (chain == chains_.end()) {
      continue;
    }
    for (const auto& rule : chain->second.rules) {
      const auto* port = find(rule, Match::What::port);
      const auto* protocol = find(rule, Match::What::protocol);
      const auto* address = find(rule, Match::What::destination);
      if (port && protocol) {
        auto where = address && address->prefixes.size() == 1 ? address->prefixes[0].address : dataplane::Address();
        found.insert({{where, port->port}, protocol->protocol});
      }
    }
  }
  return found;
}

void Ruleset::make_indexes() {
  for (auto& [name, chain] : chains_) {
    if (chain.rules.size() < kLongChain) {
      continue;
    }
    for (uint32_t number = 0; number < chain.rules.size(); number++) {
      if (const auto* port = find(chain.rules[number], Match::What::port)) {
        chain.by_port[port->port].push_back(number);
      } else {
        chain.any_port.push_back(number);
      }
    }
    for (auto& [port, numbers] : chain.by_port) {
      numbers.insert(numbers.end(), chain.any_port.begin(), chain.any_port.end());
      std::ranges::sort(numbers);
    }
  }
}

}  // namespace keelson::network
