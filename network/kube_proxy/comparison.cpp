// SPDX-License-Identifier: Apache-2.0
#include "network/kube_proxy/comparison.h"

#include <algorithm>

namespace keelson::network {
namespace {

using dataplane::Address;
using dataplane::From;

constexpr std::array kSenders = {From::pod, From::node, From::outside};

std::string_view name_of(From from) {
  return from == From::pod ? "pod" : from == From::node ? "node" : "outside";
}

std::string to_text(const Endpoint& endpoint) {
  auto host = endpoint.first.to_string();
  return endpoint.first.is_v4() ? fmt::format("{}:{}", host, endpoint.second)
                                : fmt::format("[{}]:{}", host, endpoint.second);
}

std::string to_text(const Fate& fate) {
  if (fate.backends.empty()) {
    return fate.rejected ? "rejected" : fate.dropped ? "dropped" : "not known";
  }
  std::string text;
  for (const auto& backend : fate.backends) {
    text += (text.empty() ? "" : ", ") + to_text(backend);
  }
  return text + (fate.masquerade ? " masqueraded" : "");
}

bool in_ranges(const dataplane::Frontend& frontend, const Address& source) {
  return frontend.source_ranges.empty() || source == frontend.address ||
         std::ranges::any_of(frontend.source_ranges, [&](const auto& range) { return range.contains(source); });
}

Fate our_fate(const dataplane::Service& service, const dataplane::Frontend& frontend, From from,
              const Address& source) {
  const auto& use = frontend.use(from);
  Fate fate;
  if (!in_ranges(frontend, source)) {
    fate.dropped = true;
    return fate;
  }
  if (use.verdict == dataplane::Verdict::reject || use.verdict == dataplane::Verdict::drop) {
    (use.verdict == dataplane::Verdict::reject ? fate.rejected : fate.dropped) = true;
    return fate;
  }
  for (auto place : use.verdict == dataplane::Verdict::local ? service.local : service.cluster) {
    const auto& backend = service.backends[place];
    fate.backends.insert({backend.address, backend.port});
  }
  fate.masquerade = use.masquerade;
  return fate;
}

const Address& sender(const Senders& senders, From from) {
  return from == From::pod ? senders.pod : from == From::node ? senders.node : senders.outside;
}

class Comparison {
 public:
  Comparison(const Ruleset& theirs, const Senders& senders, const NodeView& node)
      : theirs_(theirs), senders_(senders), node_(node) {}

  void one(const std::string& name, const dataplane::Service* service, const dataplane::Frontend& frontend,
           dataplane::Protocol protocol) {
    for (auto from : kSenders) {
      if (!sender(senders_, from).is_unspecified()) {
        one_sender(name, service, frontend, protocol, from, sender(senders_, from));
      }
    }
    for (const auto& range : frontend.source_ranges) {
      one_sender(name, service, frontend, protocol, From::outside, range.address);
    }
  }
  bool is_own(const Address& address) const {
    return address.is_loopback() || std::ranges::find(node_.addresses, address) != node_.addresses.end();
  }
  std::vector<Difference> take() { return std::move(found_); }

 private:
  void one_sender(const std::string& name, const dataplane::Service* service, const dataplane::Frontend& frontend,
                  dataplane::Protocol protocol, From from, const Address& source) {
    Packet packet{protocol, source, frontend.address, frontend.port, from == From::node, is_own(frontend.address)};
    auto ours = service ? our_fate(*service, frontend, from, source) : Fate();
    auto other = theirs_.fate(packet);
    if (from == From::node) {
      ours.masquerade = other.masquerade = false;
    }
    if (ours != other) {
      found_.push_back(
          {name,
           fmt::format("{}/{}", to_text(Endpoint(frontend.address, frontend.port)), dataplane::to_string(protocol)),
           std::string(name_of(from)), to_text(ours), to_text(other)});
    }
  }

  const Ruleset& theirs_;
  const Senders& senders_;
  const NodeView& node_;
  std::vector<Difference> found_;
};

}  // namespace

std::vector<Difference> compare(const dataplane::Model& model, const Ruleset& theirs, dataplane::Family family,
                                const NodeView& node) {
  bool v4 = family == dataplane::Family::ipv4;
  Comparison comparison(theirs, v4 ? node.senders4 : node.senders6, node);
  std::set<std::pair<Endpoint, dataplane::Protocol>> ours;
  std::set<std::pair<uint16_t, dataplane::Protocol>> our_node_ports;
  for (const auto& [key, service] : model.services) {
    if (key.family != family) {
      continue;
    }
    for (const auto& frontend : service.frontends) {
      if (frontend.kind == dataplane::FrontendKind::node_port) {
        our_node_ports.insert({frontend.port, service.protocol});
      }
      ours.insert({{frontend.address, frontend.port}, service.protocol});
      if (!frontend.address.is_loopback()) {
        comparison.one(key.name, &service, frontend, service.protocol);
      }
    }
  }
  for (const auto& [destination, protocol] : theirs.destinations()) {
    const auto& [address, port] = destination;
    bool any_address = address.is_unspecified() || address.is_loopback();
    bool known = ours.contains({destination, protocol}) ||
                 ((any_address || comparison.is_own(address)) && our_node_ports.contains({port, protocol}));
    if (!known) {
      dataplane::Frontend frontend;
      frontend.port = port;
      frontend.address = any_address ? (v4 ? node.senders4 : node.senders6).node : address;
      comparison.one("", nullptr, frontend, protocol);
    }
  }
  return comparison.take();
}

}  // namespace keelson::network
