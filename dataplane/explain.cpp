// SPDX-License-Identifier: Apache-2.0
#include "dataplane/explain.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>

#include "dataplane/maglev.h"
#include "dataplane/packet/flow.h"

namespace keelson::dataplane {
namespace {

kl_addr to_kl(const Address& address) {
  kl_addr result;
  std::memcpy(&result, address.bytes.data(), sizeof result);
  return result;
}

class Explainer {
 public:
  Explainer(const Model& model, NewFlow flow, const EngineFacts& facts)
      : model_(model), flow_(std::move(flow)), facts_(facts) {
    // A node port answers on all of 127.0.0.0/8.
    if (flow_.from == From::node && flow_.destination.is_v4() && flow_.destination.is_loopback()) {
      flow_.destination = Address::v4(0x7f000001);
    }
  }

  Explanation run() {
    result_.from = flow_.from;
    find();
    if (!frontend_) {
      result_.reason = nobody_here();
      return std::move(result_);
    }
    result_.kind = frontend_->kind;
    result_.decider = at_socket() ? Decider::socket : Decider::tc;
    count_by_source();
    if (!in_ranges()) {
      result_.outcome = Outcome::drop;
      result_.reason = fmt::format("{} is not in loadBalancerSourceRanges ({})", flow_.source->to_string(), ranges());
      return std::move(result_);
    }
    decide();
    return std::move(result_);
  }

 private:
  // Of those that claim it the first by name has it.
  void find() {
    for (const auto& [key, service] : model_.services) {
      for (const auto& frontend : service.frontends) {
        if (service.protocol == flow_.protocol && frontend.address == flow_.destination &&
            frontend.port == flow_.port) {
          result_.service = key;
          service_ = &service;
          frontend_ = &frontend;
          return;
        }
      }
    }
  }

  std::string nobody_here() const {
    std::vector<std::string> others;
    for (const auto& [key, service] : model_.services) {
      for (const auto& frontend : service.frontends) {
        if (frontend.address == flow_.destination && frontend.kind != FrontendKind::node_port) {
          others.push_back(fmt::format("{} at {}/{}", key.name, frontend.port, to_string(service.protocol)));
        }
      }
    }
    auto place = fmt::format("{} port {}/{}", flow_.destination.to_string(), flow_.port, to_string(flow_.protocol));
    if (others.empty()) {
      return "no service has " + place + ": the packet goes where the routes say";
    }
    return fmt::format("no service has {}; at this address: {}", place, fmt::join(others, ", "));
  }

  // Where the source is not known yet its range cannot be looked at.
  bool at_socket() const {
    if (flow_.from == From::outside || !frontend_->source_ranges.empty()) {
      return false;
    }
    if (flow_.protocol == Protocol::udp) {
      bool own = frontend_->kind == FrontendKind::node_port && flow_.from == From::node;
      return facts_.udp_sockets || own;
    }
    return flow_.protocol == Protocol::tcp && facts_.tcp_sockets;
  }

  // A socket's network namespace tells pods; there is no source yet.
  void count_by_source() {
    auto of_family = [&](const auto& range) { return range.address.family() == flow_.destination.family(); };
    if (result_.decider == Decider::socket || flow_.from == From::node || !flow_.source ||
        std::ranges::none_of(facts_.local_sources, of_family)) {
      return;
    }
    bool local =
        std::ranges::any_of(facts_.local_sources, [&](const auto& range) { return range.contains(*flow_.source); });
    result_.from = local ? From::pod : From::outside;
  }

  bool in_ranges() const {
    return frontend_->source_ranges.empty() || !flow_.source || *flow_.source == frontend_->address ||
           std::ranges::any_of(frontend_->source_ranges,
                               [&](const auto& range) { return range.contains(*flow_.source); });
  }
  std::string ranges() const {
    std::vector<std::string> texts;
    for (const auto& range : frontend_->source_ranges) {
      texts.push_back(range.to_string());
    }
    return fmt::format("{}", fmt::join(texts, ", "));
  }

  void decide() {
    const auto& use = frontend_->use(result_.from);
    switch (use.verdict) {
      case Verdict::reject:
        result_.outcome = Outcome::reject;
        result_.reason = service_->backends.empty()
                             ? "the service has no endpoint"
                             : fmt::format("none of its {} endpoints takes new flows", service_->backends.size());
        return;
      case Verdict::drop:
        result_.outcome = Outcome::drop;
        result_.reason = fmt::format("the traffic policy is Local and none of its {} endpoints is on this node",
                                     service_->backends.size());
        return;
      case Verdict::cluster:
      case Verdict::local:
        break;
    }
    result_.outcome = Outcome::forward;
    result_.pool = use.verdict == Verdict::local ? service_->local : service_->cluster;
    choose();
    if (!frontend_->source_ranges.empty() && !flow_.source) {
      result_.reason += fmt::format(", if its source is in {}", ranges());
    }
    find_way(use);
  }

  void choose() {
    auto many = result_.pool.size();
    auto where = frontend_->use(result_.from).verdict == Verdict::local ? " of this node" : "";
    if (many == 1) {
      result_.chosen = result_.pool[0];
      result_.reason = fmt::format("it has one endpoint{}", where);
    } else if (auto place = remembered()) {
      result_.chosen = place;
      result_.reason = fmt::format("to the endpoint{} that the client had in the last {} s (session affinity)", where,
                                   service_->affinity_seconds);
    } else if (service_->affinity_seconds) {
      result_.reason = fmt::format("to the endpoint{} that the client had in the last {} s, else to one of {}", where,
                                   service_->affinity_seconds, many);
    } else if (result_.decider == Decider::socket) {
      result_.reason = fmt::format("to one of {} endpoints{} at random", many, where);
    } else if (flow_.source && flow_.source_port && (facts_.hash_seed || service_->algorithm == Algorithm::maglev)) {
      result_.chosen = by_hash();
      result_.reason = fmt::format("to one of {} endpoints{}, by the hash of its addresses and ports", many, where);
    } else {
      result_.reason = fmt::format(
          "to one of {} endpoints{}, by the hash of the flow; with a source port it is certain", many, where);
    }
  }

  // If it is still one of those that take new flows.
  std::optional<uint32_t> remembered() const {
    auto is_it = [&](uint32_t place) {
      const auto& backend = service_->backends[place];
      return facts_.remembered == std::pair(backend.address, backend.port);
    };
    auto place = std::ranges::find_if(result_.pool, is_it);
    return service_->affinity_seconds && place != result_.pool.end() ? std::optional(*place) : std::nullopt;
  }

  uint32_t by_hash() const {
    kl_flow flow{};
    flow.src = to_kl(*flow_.source);
    flow.dst = to_kl(flow_.destination);
    flow.sport = htons(flow_.source_port);
    flow.dport = htons(flow_.port);
    flow.protocol = static_cast<uint8_t>(flow_.protocol);
    int v6 = !flow_.destination.is_v4();
    const auto& pool = result_.pool;
    if (service_->algorithm != Algorithm::maglev) {
      return pool[kl_hash_choice(kl_flow_hash(&flow, *facts_.hash_seed, v6).first, static_cast<uint32_t>(pool.size()))];
    }
    std::vector<WeightedBackend> members;
    for (auto place : pool) {
      members.push_back({service_->backends[place].address, service_->backends[place].port});
    }
    auto table = maglev_table(members, maglev_table_size(members.size()));
    return pool[table[kl_flow_hash(&flow, 0, v6).first % table.size()]];
  }

  void find_way(const Use& use) {
    if (result_.decider == Decider::socket) {
      return;
    }
    auto all = result_.chosen ? std::vector{*result_.chosen} : result_.pool;
    bool elsewhere = std::ranges::none_of(all, [&](auto place) { return service_->backends[place].local; });
    if (result_.from == From::outside && facts_.xdp && elsewhere) {
      result_.decider = Decider::xdp;
    }
    const auto* chosen = result_.chosen ? &service_->backends[*result_.chosen] : nullptr;
    bool here = chosen && std::ranges::find(facts_.node_addresses, chosen->address) != facts_.node_addresses.end();
    bool hairpin = chosen && flow_.source == chosen->address;
    if (here || (!use.masquerade && !hairpin)) {
      return;
    }
    if (chosen && service_->forwarding == Forwarding::dsr && flow_.from == From::outside && !chosen->local &&
        !chosen->node.is_unspecified()) {
      result_.wrapped_to = chosen->node;
      return;
    }
    const auto& own = facts_.masquerade[flow_.destination.is_v4() ? 0 : 1];
    if (own.is_unspecified()) {
      result_.outcome = Outcome::drop;
      result_.reason = "it must be masqueraded, and this node has no address of its family";
      return;
    }
    result_.masquerade_as = own;
  }

  const Model& model_;
  NewFlow flow_;
  const EngineFacts& facts_;
  const Service* service_ = nullptr;
  const Frontend* frontend_ = nullptr;
  Explanation result_;
};

}  // namespace

std::string_view to_string(Decider decider) {
  constexpr std::string_view kNames[] = {"socket", "tc", "xdp"};
  return kNames[static_cast<size_t>(decider)];
}

std::string_view to_string(Outcome outcome) {
  constexpr std::string_view kNames[] = {"NO SERVICE", "FORWARD", "REJECT", "DROP"};
  return kNames[static_cast<size_t>(outcome)];
}

Explanation explain(const Model& model, const NewFlow& flow, const EngineFacts& facts) {
  return Explainer(model, flow, facts).run();
}

}  // namespace keelson::dataplane
