// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/packet_reference.h"

#include <fmt/format.h>

#include <algorithm>

#include "tests/fuzz/rewrite.h"

namespace keelson::fuzz {
namespace {

using dataplane::From;

constexpr uint8_t kFin = 1, kSyn = 2, kRst = 4, kAck = 16;

bool untouched(const Frame& before, const Outcome& outcome) {
  return outcome.verdict == Verdict::pass && outcome.frame == before;
}

std::string in_one_line(const Mapping& mapping) {
  return fmt::format("{}:{} > {}:{}{}", mapping.to_src.to_string(), mapping.to_sport, mapping.to_dst.to_string(),
                     mapping.to_dport, mapping.tunnel ? " wrapped" : "");
}

// What the packet that came out says of its mapping.
Mapping mapping_of(const Parsed& parsed, const Frame& after) {
  Mapping mapping;
  mapping.to_src = get_address(after, parsed.v6 ? 22 : 26, parsed.v6);
  mapping.to_dst = get_address(after, parsed.v6 ? 38 : 30, parsed.v6);
  if (parsed.part != Part::later) {
    mapping.to_sport = get16(after, parsed.l4);
    mapping.to_dport = get16(after, parsed.l4 + 2);
  }
  return mapping;
}

}  // namespace

const char* to_string(Seen seen) {
  static const char* const names[] = {
      "untouched",      "dropped",       "known flow", "reply",      "new flow",
      "masqueraded",    "affinity kept", "answered",   "too big",    "ICMP error translated",
      "later fragment", "wrapped",       "unwrapped",  "left to tc", "ambiguous"};
  static_assert(std::size(names) == static_cast<size_t>(Seen::kCount));
  return names[static_cast<size_t>(seen)];
}

Reference::Reference(const dataplane::Model& model) : model_(model) {
  size_t number = 0;
  for (const auto& [key, service] : model_.services) {
    number++;
    for (const auto& frontend : service.frontends) {
      auto protocol = static_cast<uint8_t>(service.protocol);
      rules_.try_emplace({frontend.address, frontend.port, protocol}, Rule{&service, &frontend, number});
      places_.push_back({frontend.address, {frontend.port, protocol}});
    }
  }
}

std::string Reference::check(Hook hook, const Frame& before, const Outcome& outcome) {
  if (outcome.verdict == Verdict::refused) {
    return {};
  }
  if (outcome.verdict == Verdict::fault) {
    return fmt::format("code {}", outcome.code);
  }
  auto parsed = parse(before);
  if (!parsed) {
    count(Seen::untouched);
    return untouched(before, outcome) ? "" : "nothing of services, and not passed as it was";
  }
  return check_parsed(hook, before, *parsed, outcome);
}

std::string Reference::check_parsed(Hook hook, const Frame& before, Parsed parsed, const Outcome& outcome) {
  bool xdp = hook == Hook::xdp;
  if (parsed.is_icmp() || (xdp && (parsed.part != Part::whole || parsed.ttl <= 1 || parsed.flow.protocol == kSctp))) {
    if (!xdp && parsed.is_icmp_error() && parsed.part == Part::whole) {
      return check_icmp(hook, before, parsed, outcome);
    }
    count(Seen::untouched);
    return untouched(before, outcome) ? "" : "such a packet is not for this hook, and not passed as it was";
  }
  if (parsed.part != Part::whole && !ports_of_fragment(parsed)) {
    count(Seen::untouched);
    return untouched(before, outcome) ? "" : "a fragment of nothing known, and not passed as it was";
  }
  const Flow& flow = parsed.flow;
  if (hook == Hook::uplink && flow.protocol == kUdp && flow.dport == surroundings().tunnel_port &&
      parsed.part == Part::whole && flow.dst == surroundings().node[parsed.v6]) {
    return check_unwrapped(before, parsed, outcome);
  }
  if (flow.protocol == kTcp && (parsed.tcp_flags & (kFin | kRst))) {
    mark_closing(flow);
  }
  auto wrong = check_begun(hook, before, parsed, outcome);
  if (!wrong.empty() && is_ambiguous(flow) && check_ambiguous(hook, before, parsed, outcome).empty()) {
    count(Seen::ambiguous);
    return {};
  }
  return wrong;
}

std::string Reference::check_begun(Hook hook, const Frame& before, const Parsed& parsed, const Outcome& outcome) {
  const Flow& flow = parsed.flow;
  std::string wrong;
  auto known = known_.find(flow);
  bool reply = known != known_.end() && known->second.reply;
  bool opens = flow.protocol == kTcp && (parsed.tcp_flags & (kSyn | kAck)) == kSyn;
  // Datagrams stay with an endpoint only as long as this node sees it serve.
  bool anew = !reply && known != known_.end() &&
              ((opens && known->second.closing) || (flow.protocol != kTcp && known->second.foreign));
  if (known != known_.end() && !anew) {
    wrong = reply ? check_reply(hook, before, parsed, outcome, known->second)
                  : check_mapped(hook, before, parsed, outcome, known->second);
    if (wrong.empty()) {
      count(reply ? Seen::reply : Seen::known_flow);
      return {};
    }
    if (!perhaps_.contains(flow)) {
      return fmt::format("known as {}: {}", in_one_line(known->second), wrong);
    }
  }
  auto rule = rules_.find({flow.dst, flow.dport, flow.protocol});
  if (rule == rules_.end()) {
    count(Seen::untouched);
    return untouched(before, outcome) ? "" : "of no service, and not passed as it was; " + wrong;
  }
  std::set<From> senders;
  if (auto begun = perhaps_.find(flow); begun != perhaps_.end()) {
    senders = begun->second;
  }
  senders.insert(sender(hook));
  wrong.clear();
  for (auto from : senders) {
    auto more = check_new(hook, before, parsed, outcome, from, rule->second);
    if (more.empty()) {
      return {};
    }
    wrong += more + "; ";
  }
  return wrong;
}

bool Reference::ports_of_fragment(Parsed& parsed) {
  FragmentKey key{parsed.flow.src, parsed.flow.dst, parsed.fragment_id, parsed.flow.protocol};
  if (parsed.part == Part::first) {
    fragments_[key] = {parsed.flow.sport, parsed.flow.dport};
    return true;
  }
  auto known = fragments_.find(key);
  if (known == fragments_.end()) {
    return false;
  }
  count(Seen::later_fragment);
  std::tie(parsed.flow.sport, parsed.flow.dport) = known->second;
  return true;
}

// A packet of a new flow: what its sender's rule says.
std::string Reference::check_new(Hook hook, const Frame& before, const Parsed& parsed, const Outcome& outcome,
                                 From from, const Rule& rule) {
  const auto& use = rule.frontend->use(from);
  const auto& ranges = rule.frontend->source_ranges;
  auto inside = [&](const auto& range) { return range.contains(parsed.flow.src); };
  if (sender(hook) != From::node && is_martian(parsed)) {
    count(Seen::untouched);
    return untouched(before, outcome) ? "" : "a martian, and not left to the stack";
  }
  if (!ranges.empty() && parsed.flow.src != parsed.flow.dst && std::ranges::none_of(ranges, inside)) {
    count(Seen::dropped);
    return outcome.verdict == Verdict::drop ? "" : "not dropped, though outside of the source ranges";
  }
  if (use.verdict == dataplane::Verdict::drop) {
    count(Seen::dropped);
    return outcome.verdict == Verdict::drop ? "" : "not dropped, as the policy says";
  }
  if (use.verdict == dataplane::Verdict::reject) {
    if (hook == Hook::xdp) {
      count(Seen::left_to_tc);
      return untouched(before, outcome) ? "" : "to be rejected by tc, and not passed as it was";
    }
    if (outcome.verdict == Verdict::drop) {
      count(Seen::dropped);
      return may_be_answered(parsed) ? "dropped, and should have been rejected" : "";
    }
    if (outcome.verdict != Verdict::forward || !is_one_host(parsed.flow.src) || parsed.part == Part::later) {
      return "neither dropped nor rejected";
    }
    count(Seen::answered);
    return check_answer(hook, before, parsed, outcome.frame, false);
  }
  return check_forwarded(hook, before, parsed, outcome, from, rule);
}

std::string Reference::check_forwarded(Hook hook, const Frame& before, const Parsed& parsed, const Outcome& outcome,
                                       From from, const Rule& rule) {
  const auto& use = rule.frontend->use(from);
  const Flow& flow = parsed.flow;
  const auto& service = *rule.service;
  const auto& pool = use.verdict == dataplane::Verdict::local ? service.local : service.cluster;
  bool may_wrap = service.forwarding == dataplane::Forwarding::dsr && from == From::outside && use.masquerade;
  // What is not sent on by XDP, or has no hop left to be wrapped.
  if (untouched(before, outcome) && (hook == Hook::xdp || (may_wrap && parsed.ttl <= 1))) {
    count(Seen::left_to_tc);
    note_perhaps(flow, from);
    clients_.erase({flow.src, rule.number});
    return {};
  }
  if (outcome.verdict == Verdict::drop) {
    count(Seen::dropped);
    bool may_drop = pool.empty() || flow.protocol == kSctp || (may_be_too_big(parsed) && !may_be_answered(parsed));
    clients_.erase({flow.src, rule.number});
    note_perhaps(flow, from);
    return may_drop ? "" : "dropped, and should have been sent on";
  }
  if (outcome.verdict == Verdict::forward && may_be_too_big(parsed)) {
    auto wrong = check_answer(hook, before, parsed, outcome.frame, true);
    if (wrong.empty()) {
      count(Seen::too_big);
      note_perhaps(flow, from);
      clients_.erase({flow.src, rule.number});
      return {};
    }
  }
  if (outcome.verdict == Verdict::forward && outcome.frame.size() > before.size() && may_wrap) {
    auto outer = parse(outcome.frame);
    size_t option = kEthernet + (parsed.v6 ? 40 : 20) + 8 + 12;
    if (!outer) {
      return "what came out wrapped is no packet";
    }
    Mapping mapping{.to_dst = get_address(outcome.frame, option, parsed.v6),
                    .to_dport = get16(outcome.frame, option + (parsed.v6 ? 16 : 4)),
                    .tunnel = true,
                    .node = outer->flow.dst};
    auto wrong = check_choice(flow, mapping, use, rule, true);
    if (wrong.empty()) {
      wrong = check_mapped(hook, before, parsed, outcome, mapping);
    }
    if (wrong.empty()) {
      record(flow, mapping);
    }
    return wrong;
  }
  if (outcome.frame.size() != before.size()) {
    return "another length came out";
  }
  auto mapping = mapping_of(parsed, outcome.frame);
  if (parsed.part == Part::later) {
    // Its ports are not seen: a later packet of the flow shows them.
    note_perhaps(flow, from);
    clients_.erase({flow.src, rule.number});
    return check_mapped(hook, before, parsed, outcome, mapping);
  }
  auto wrong = check_choice(flow, mapping, use, rule, false);
  if (wrong.empty()) {
    wrong = check_mapped(hook, before, parsed, outcome, mapping);
  }
  if (wrong.empty()) {
    record(flow, mapping);
  }
  return wrong;
}

// Whether a flow may be given this backend and this source.
std::string Reference::check_choice(const Flow& flow, const Mapping& mapping, const dataplane::Use& use,
                                    const Rule& rule, bool wrapped) {
  const auto& service = *rule.service;
  const auto& pool = use.verdict == dataplane::Verdict::local ? service.local : service.cluster;
  auto is_it = [&](uint32_t place) {
    const auto& backend = service.backends[place];
    return backend.address == mapping.to_dst && backend.port == mapping.to_dport;
  };
  auto found = std::ranges::find_if(pool, is_it);
  if (found == pool.end()) {
    return fmt::format("{} is not one of the pool's", in_one_line(mapping));
  }
  const auto& backend = service.backends[*found];
  if (flow.protocol == kSctp && backend.port != flow.dport) {
    return "SCTP to another port";
  }
  std::pair<Address, uint16_t> choice{mapping.to_dst, mapping.to_dport};
  auto& remembered =
      service.affinity_seconds ? clients_[{flow.src, rule.number}] : backends_[{flow, &pool == &service.local}];
  // A backend that this sender's pool has not is not kept.
  auto is_remembered = [&](uint32_t place) {
    const auto& one = service.backends[place];
    return one.address == remembered.first && one.port == remembered.second;
  };
  bool binding = remembered.second != 0 && std::ranges::any_of(pool, is_remembered);
  if (binding && remembered != choice) {
    return fmt::format("{} went to {}:{} before", service.affinity_seconds ? "this client" : "this flow",
                       remembered.first.to_string(), remembered.second);
  }
  if (binding && service.affinity_seconds) {
    count(Seen::affinity_kept);
  }
  remembered = choice;
  if (service.affinity_seconds && hidden_.contains(flow)) {
    // It may have begun before, unseen: then its row says where it goes, and not what the client's affinity has become.
    clients_.erase({flow.src, rule.number});
  }
  bool v6 = !flow.dst.is_v4();
  bool to_wrap = service.forwarding == dataplane::Forwarding::dsr && use.masquerade && !backend.local &&
                 !backend.node.is_unspecified();
  if (wrapped) {
    count(Seen::wrapped);
    return to_wrap && backend.node == mapping.node ? "" : "wrapped, and should not be, or for another node";
  }
  bool to_node = backend.address == surroundings().node[v6];
  bool masquerade = !to_node && (use.masquerade || flow.src == backend.address);
  count(masquerade ? Seen::masqueraded : Seen::new_flow);
  return check_source(flow, mapping, masquerade);
}

std::string Reference::check_source(const Flow& flow, const Mapping& mapping, bool masquerade) const {
  // A source that is no host has no way back to ask the routes for; the stack drops it.
  bool as_it_was = !is_one_host(flow.src) && mapping.to_src == flow.src;
  if (!as_it_was && mapping.to_src != (masquerade ? surroundings().node[!flow.dst.is_v4()] : flow.src)) {
    return "the source became " + mapping.to_src.to_string();
  }
  Flow reply{mapping.to_dst, mapping.to_src, mapping.to_dport, mapping.to_sport, flow.protocol};
  auto other = known_.find(reply);
  if (other != known_.end() && !other->second.closing && !may_have_ended(reply, other->second) &&
      (other->second.to_dst != flow.src || other->second.to_dport != flow.sport || other->second.to_src != flow.dst ||
       other->second.to_sport != flow.dport)) {
    return "the replies are another flow's";
  }
  bool own_port = mapping.to_sport == flow.sport;
  if (flow.protocol == kSctp) {
    return own_port ? "" : "the port of SCTP was changed";
  }
  return own_port && (!masquerade || as_it_was) ? "" : check_port(flow, mapping);
}

// A port of the node's: in its range, and where the client's own is kept otherwise only if that was taken.
std::string Reference::check_port(const Flow& flow, const Mapping& mapping) const {
  auto first = surroundings().nat_first;
  if (mapping.to_sport < first || mapping.to_sport - first >= surroundings().nat_count) {
    return fmt::format("the source port became {}", mapping.to_sport);
  }
  if (mapping.to_src == flow.src && !flow.src.is_unspecified()) {
    Flow own{mapping.to_dst, flow.src, mapping.to_dport, flow.sport, flow.protocol};
    bool node_itself = flow.src == surroundings().node[!flow.src.is_v4()];
    bool taken = known_.contains(own) || perhaps_taken_.contains({flow.src, flow.sport, flow.protocol});
    return taken || node_itself ? "" : "the source port was changed, though it was free";
  }
  return {};
}

void Reference::put(const Flow& flow, const Mapping& mapping) {
  auto [place, fresh] = known_.insert_or_assign(flow, mapping);
  if (fresh) {
    known_list_.push_back(flow);
  }
}

void Reference::record(const Flow& flow, Mapping mapping) {
  put(flow, mapping);
  perhaps_.erase(flow);
  if (!mapping.tunnel) {
    Mapping reply{
        .to_src = flow.dst, .to_dst = flow.src, .to_sport = flow.dport, .to_dport = flow.sport, .reply = true};
    put({mapping.to_dst, mapping.to_src, mapping.to_dport, mapping.to_sport, flow.protocol}, reply);
  }
}

void Reference::note_perhaps(const Flow& flow, From from) {
  perhaps_[flow].insert(from);
  perhaps_taken_.insert({flow.src, flow.sport, flow.protocol});
  hidden_.insert(flow);
}

bool Reference::may_have_ended(const Flow& flow, const Mapping& mapping) const {
  return flow.protocol == kTcp && (ended_.contains({flow.src, flow.sport}) || ended_.contains({flow.dst, flow.dport}) ||
                                   ended_.contains({mapping.to_dst, mapping.to_dport}));
}

void Reference::mark_closing(const Flow& flow) {
  ended_.insert({flow.src, flow.sport});
  ended_.insert({flow.dst, flow.dport});
  auto known = known_.find(flow);
  if (known == known_.end()) {
    return;
  }
  auto& mapping = known->second;
  mapping.closing = true;
  auto twin = known_.find({mapping.to_dst, mapping.to_src, mapping.to_dport, mapping.to_sport, flow.protocol});
  if (!mapping.tunnel && twin != known_.end()) {
    twin->second.closing = true;
  }
}

}  // namespace keelson::fuzz
