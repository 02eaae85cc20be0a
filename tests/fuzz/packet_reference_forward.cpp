// SPDX-License-Identifier: Apache-2.0
// The packets whose mapping is known: of flows, in ICMP errors, and out of Geneve.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "tests/fuzz/packet_reference.h"
#include "tests/fuzz/rewrite.h"

namespace keelson::fuzz {
namespace {

// How far a forwarded packet may have gone, nearest first.
std::vector<Hop> hops(Hook hook, const Parsed& parsed, const Outcome& outcome) {
  if (outcome.verdict == Verdict::forward) {
    // To a neighbour that is still to be asked for its MAC address, the kernel sends it as the stack would have.
    if (parsed.ttl <= 1) {
      return {{.mac_may_change = false, .ttl_less = 0}};
    }
    return {{.mac_may_change = true, .ttl_less = 1}, {.mac_may_change = false, .ttl_less = 0}};
  }
  if (hook == Hook::egress && parsed.ttl > 1) {
    return {{}, {.mac_may_change = true, .ttl_less = 1}};
  }
  return {{}};
}

// Whom a packet is wrapped for, by what was put in front of it.
std::optional<Mapping> wrapped_for(const Frame& after, bool v6) {
  const size_t option = kEthernet + (v6 ? 40 : 20) + 20;
  auto outer = parse(after);
  if (!outer || after.size() < option + (v6 ? 20 : 8)) {
    return std::nullopt;
  }
  return Mapping{.to_dst = get_address(after, option, v6),
                 .to_dport = get16(after, option + (v6 ? 16 : 4)),
                 .tunnel = true,
                 .node = outer->flow.dst};
}

}  // namespace

std::string Reference::check_mapped(Hook hook, const Frame& before, const Parsed& parsed, const Outcome& outcome,
                                    const Mapping& mapping) {
  bool too_big = may_be_too_big(parsed);
  if (hook == Hook::xdp && outcome.verdict == Verdict::pass && outcome.frame == before) {
    count(Seen::left_to_tc);
    return {};
  }
  if (outcome.verdict == Verdict::drop) {
    bool unanswered = too_big && !may_be_answered(parsed);
    return unanswered ? "" : "dropped, and should have been sent on";
  }
  if (outcome.verdict == Verdict::forward && too_big &&
      check_answer(hook, before, parsed, outcome.frame, true).empty()) {
    count(Seen::too_big);
    return {};
  }
  if (mapping.tunnel) {
    if (parsed.ttl <= 1 && outcome.verdict == Verdict::pass && outcome.frame == before) {
      return {};
    }
    return check_wrapped(before, parsed, outcome.frame, mapping);
  }
  if (hook == Hook::xdp && outcome.verdict != Verdict::forward) {
    return "neither passed as it was nor sent";
  }
  std::string wrong;
  for (const auto& hop : hops(hook, parsed, outcome)) {
    wrong = check_rewritten(before, parsed, outcome.frame, mapping, hop);
    if (wrong.empty()) {
      return {};
    }
  }
  return wrong;
}

// A reply. Its row may have become another flow's of a service, where the one before has ended.
std::string Reference::check_reply(Hook hook, const Frame& before, const Parsed& parsed, const Outcome& outcome,
                                   const Mapping& mapping) {
  auto wrong = check_mapped(hook, before, parsed, outcome, mapping);
  bool same_size = outcome.frame.size() == before.size() && parsed.part != Part::later;
  if (wrong.empty() || !same_size || !may_have_ended(parsed.flow, mapping)) {
    return wrong;
  }
  Mapping other{.to_src = get_address(outcome.frame, parsed.v6 ? 22 : 26, parsed.v6),
                .to_dst = get_address(outcome.frame, parsed.v6 ? 38 : 30, parsed.v6),
                .to_sport = get16(outcome.frame, parsed.l4),
                .to_dport = get16(outcome.frame, parsed.l4 + 2)};
  if (!rules_.contains({other.to_src, other.to_sport, parsed.flow.protocol})) {
    return wrong;
  }
  return check_mapped(hook, before, parsed, outcome, other);
}

// Of a flow that may have begun unseen, or of whose rows another may have taken one: by which sender's rule is not
// known.
bool Reference::is_ambiguous(const Flow& flow) const {
  return hidden_.contains(flow) || perhaps_taken_.contains({flow.dst, flow.dport, flow.protocol}) ||
         perhaps_taken_.contains({flow.src, flow.sport, flow.protocol}) ||
         flow.dst == surroundings().node[!flow.dst.is_v4()] ||
         (flow.protocol == kTcp &&
          (ended_.contains({flow.src, flow.sport}) || ended_.contains({flow.dst, flow.dport})));
}

// Then it is dropped, answered, or goes where any rule of its service lets it, rewritten as it should be.
std::string Reference::check_ambiguous(Hook hook, const Frame& before, const Parsed& parsed, const Outcome& outcome) {
  const auto& after = outcome.frame;
  bool v6 = parsed.v6;
  bool left = hook == Hook::xdp && outcome.verdict == Verdict::pass && after == before;
  if (left || outcome.verdict == Verdict::drop ||
      (outcome.verdict == Verdict::forward && (check_answer(hook, before, parsed, after, false).empty() ||
                                               check_answer(hook, before, parsed, after, true).empty()))) {
    return {};
  }
  auto rule = rules_.find({parsed.flow.dst, parsed.flow.dport, parsed.flow.protocol});
  if (rule != rules_.end()) {
    // It may have been chosen for anew, from another sender's pool.
    clients_.erase({parsed.flow.src, rule->second.number});
  }
  auto serves = [&](const Mapping& mapping) {
    if (named_.contains({parsed.flow, mapping.to_dst, mapping.to_dport})) {
      return true;
    }
    return rule != rules_.end() && std::ranges::any_of(rule->second.service->backends, [&](const auto& backend) {
             return backend.address == mapping.to_dst &&
                    (backend.port == mapping.to_dport || parsed.part == Part::later);
           });
  };
  Mapping mapping;
  if (after.size() > before.size()) {
    auto wrapped = wrapped_for(after, v6);
    if (!wrapped) {
      return "another length came out";
    }
    mapping = *wrapped;
  } else if (after.size() == before.size()) {
    mapping = {.to_src = get_address(after, v6 ? 22 : 26, v6), .to_dst = get_address(after, v6 ? 38 : 30, v6)};
    if (parsed.part != Part::later) {
      mapping.to_sport = get16(after, parsed.l4);
      mapping.to_dport = get16(after, parsed.l4 + 2);
    }
    bool reply = rules_.contains({mapping.to_src, mapping.to_sport, parsed.flow.protocol});
    bool source = mapping.to_src == parsed.flow.src || mapping.to_src == surroundings().node[v6];
    if (!reply && parsed.part != Part::later && !(serves(mapping) && source)) {
      return "to no endpoint of the service";
    }
    return check_mapped(hook, before, parsed, outcome, mapping);
  }
  return serves(mapping) ? check_mapped(hook, before, parsed, outcome, mapping) : "to no endpoint of the service";
}

std::string Reference::check_icmp(Hook hook, const Frame& before, const Parsed& parsed, const Outcome& outcome) {
  auto quote = parse_quote(before, parsed);
  bool same = outcome.verdict == Verdict::pass && outcome.frame == before;
  bool unanswered = outcome.verdict == Verdict::drop && may_be_too_big(parsed);
  // Who is told must be who has sent what is quoted.
  if (!quote || parsed.flow.dst != quote->flow.src) {
    count(Seen::untouched);
    return same ? "" : "an error to another than who has sent what is in it, and not passed as it was";
  }
  const Flow quoted = quote->flow.reversed();
  auto known = known_.find(quoted);
  if (known == known_.end()) {
    if (same) {
      count(Seen::untouched);
      return {};
    }
    if (!is_ambiguous(quoted)) {
      return "an error about no known flow, and not passed as it was";
    }
    return unanswered ? "" : check_ambiguous_icmp(before, parsed, outcome);
  }
  if (unanswered) {
    return {};
  }
  if (known->second.tunnel) {
    auto wrong = check_mapped(hook, before, parsed, outcome, known->second);
    return wrong.empty() || !is_ambiguous(quoted) ? wrong : check_ambiguous_icmp(before, parsed, outcome);
  }
  std::string wrong;
  for (const auto& hop : hops(hook, parsed, outcome)) {
    wrong = check_icmp_rewritten(before, parsed, *quote, outcome.frame, known->second, hop);
    if (wrong.empty()) {
      count(Seen::icmp_translated);
      return {};
    }
  }
  return is_ambiguous(quoted) ? check_ambiguous_icmp(before, parsed, outcome) : "an error about a known flow: " + wrong;
}

// Whose row it is about was not seen: what it came to is judged by its checksums alone.
std::string Reference::check_ambiguous_icmp(const Frame& before, const Parsed& parsed, const Outcome& outcome) {
  count(Seen::ambiguous);
  auto wrapped = outcome.frame.size() > before.size() ? wrapped_for(outcome.frame, parsed.v6) : std::nullopt;
  return wrapped ? check_wrapped(before, parsed, outcome.frame, *wrapped) : check_sums(before, parsed, outcome.frame);
}

// Geneve to this node: from another of the cluster and well formed, or dropped.
std::string Reference::check_unwrapped(const Frame& before, const Parsed& parsed, const Outcome& outcome) {
  bool v6 = parsed.v6, dropped = outcome.verdict == Verdict::drop;
  size_t geneve = parsed.l4 + 8, option = v6 ? 20 : 8, inner = geneve + 12 + option;
  const uint8_t head[] = {static_cast<uint8_t>(option / 4 + 1), before[12], before[13], 0xff, 0x4b, 0x81,
                          static_cast<uint8_t>(option / 4)};
  bool good = parsed.plain && parsed.flow.src == surroundings().other_node[v6] && before.size() >= inner;
  for (size_t i = 0; good && i < std::size(head); i++) {
    static constexpr size_t kAt[] = {0, 2, 3, 8, 9, 10, 11};
    good = before[geneve + kAt[i]] == head[i];
  }
  if (!good) {
    count(Seen::dropped);
    return dropped ? "" : "a bad Geneve packet, and not dropped";
  }
  Frame inside(before.begin(), before.begin() + kEthernet);
  inside.insert(inside.end(), before.begin() + static_cast<ptrdiff_t>(inner), before.end());
  auto packet = parse(inside);
  if (!packet) {
    count(Seen::dropped);
    return dropped ? "" : "Geneve with nothing of services inside, and not dropped";
  }
  count(Seen::unwrapped);
  if (packet->is_icmp()) {
    if (packet->is_icmp_error() && packet->part == Part::whole) {
      return check_icmp(Hook::uplink, inside, *packet, outcome);
    }
    return outcome.verdict == Verdict::pass && outcome.frame == inside ? "" : "not passed as it was in Geneve";
  }
  if (packet->part != Part::whole && !ports_of_fragment(*packet)) {
    return dropped ? "" : "a fragment of nothing known in Geneve, and not dropped";
  }
  const Flow& flow = packet->flow;
  if (flow.protocol == kTcp && (packet->tcp_flags & 5)) {
    mark_closing(flow);
  }
  Mapping mapping{.to_src = flow.src,
                  .to_dst = get_address(before, geneve + 12, v6),
                  .to_sport = flow.sport,
                  .to_dport = get16(before, geneve + 12 + (v6 ? 16 : 4)),
                  .foreign = true};
  if (flow.protocol == kSctp && mapping.to_dport != flow.dport) {
    return dropped ? "" : "SCTP to another port out of Geneve, and not dropped";
  }
  named_.insert({flow, mapping.to_dst, mapping.to_dport});
  auto known = known_.find(flow);
  if (known != known_.end() && !known->second.tunnel && known->second.to_dst == mapping.to_dst &&
      known->second.to_dport == mapping.to_dport) {
    auto wrong = check_mapped(Hook::uplink, inside, *packet, outcome, known->second);
    if (wrong.empty() || !is_ambiguous(flow)) {
      return wrong;
    }
  }
  // Kept unless another flow of that client has it.
  Flow own{mapping.to_dst, flow.src, mapping.to_dport, flow.sport, flow.protocol};
  bool taken = known_.contains(own) || hidden_.contains(flow) || flow.src == surroundings().node[v6] ||
               perhaps_taken_.contains({flow.src, flow.sport, flow.protocol});
  if (dropped && taken && flow.protocol == kSctp) {
    return {};
  }
  // An answer to who sent it may be as long as what it answers.
  bool answered = outcome.verdict == Verdict::forward && may_be_too_big(*packet) &&
                  check_answer(Hook::uplink, inside, *packet, outcome.frame, true).empty();
  bool same_size = outcome.frame.size() == inside.size() && !answered;
  if (same_size && taken) {
    if (packet->part != Part::later) {
      mapping.to_sport = get16(outcome.frame, packet->l4);
    }
    // To the same endpoint without Geneve before, unseen: as that was masqueraded, so is this.
    auto source = get_address(outcome.frame, v6 ? 22 : 26, v6);
    if (hidden_.contains(flow) && source == surroundings().node[v6]) {
      mapping.to_src = source;
    }
  }
  auto wrong = check_mapped(Hook::uplink, inside, *packet, outcome, mapping);
  if (!wrong.empty()) {
    return "out of Geneve: " + wrong;
  }
  bool seen = same_size && outcome.verdict != Verdict::drop && packet->part != Part::later;
  if (seen) {
    record(flow, mapping);
  } else {
    known_.erase(flow);
    note_perhaps(flow, dataplane::From::outside);
  }
  return {};
}

std::string Reference::check_flows(const std::vector<Flow>& held) const {
  for (const auto& flow : held) {
    if (flow.protocol != kTcp && flow.protocol != kUdp && flow.protocol != kSctp) {
      return "a row of no flow of services: " + flow.to_string();
    }
  }
  return {};
}

}  // namespace keelson::fuzz
