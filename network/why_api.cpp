// SPDX-License-Identifier: Apache-2.0
#include "network/why_api.h"

#include <algorithm>
#include <charconv>

#include <boost/json/serialize.hpp>

#include "common/host_addresses.h"
#include "dataplane/explain.h"
#include "ebpf/hooks.h"
#include "network/connection_report.h"
#include "network/pod_names.h"

namespace keelson::network {
namespace {

namespace json = boost::json;
using dataplane::From;
using dataplane::NewFlow;

constexpr size_t kConnections = 20;

std::string_view to_string(From from) {
  constexpr std::string_view kNames[] = {"pod", "node", "outside"};
  return kNames[static_cast<size_t>(from)];
}

Result<uint16_t> port_of(std::string_view text, std::string_view what) {
  uint16_t port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0) {
    return fail(Kind::invalid, "{}: \"{}\" is no port", what, text);
  }
  return port;
}

/// A pod of this node, if a slice names it; this node; else outside.
From place_of(const Router& router, const dataplane::Address& address) {
  auto text = address.to_string();
  if (auto own = host_addresses(); address.is_loopback() || std::ranges::find(own, text) != own.end()) {
    return From::node;
  }
  const auto& node = router.translator().options().node_name;
  bool pod = false;
  router.translator().for_each_slice([&](const kube::EndpointSlice& slice) {
    for (const auto& endpoint : slice.endpoints) {
      pod = pod || (endpoint.node_name == node && !node.empty() && !endpoint.addresses.empty() &&
                    endpoint.addresses.front() == text);
    }
  });
  return pod ? From::pod : From::outside;
}

/// "pod", "10.2.0.1", "10.2.0.1:4711", "[fd00::1]:4711"
Result<void> parse_source(const Router& router, std::string text, NewFlow& flow) {
  for (auto from : {From::pod, From::node, From::outside}) {
    if (text == to_string(from)) {
      flow.from = from;
      return {};
    }
  }
  auto colon = text.rfind(':');
  bool with_port = colon != text.npos && (text.find(':') == colon || text[colon - 1] == ']');
  if (with_port) {
    KEELSON_TRY(flow.source_port, port_of(std::string_view(text).substr(colon + 1), "from"));
    text.resize(colon);
  }
  if (text.starts_with('[') && text.ends_with(']')) {
    text = text.substr(1, text.size() - 2);
  }
  flow.source = dataplane::Address::parse(text);
  if (!flow.source) {
    return fail(Kind::invalid, "from \"{}\" is no address, nor \"pod\", \"node\" or \"outside\"", text);
  }
  flow.from = place_of(router, *flow.source);
  return {};
}

Result<NewFlow> parse(const Router& router, const http::Target& target) {
  NewFlow flow;
  auto to = dataplane::Address::parse(target.text("to"));
  if (!to) {
    return fail(Kind::invalid, "\"{}\" is no address", target.text("to"));
  }
  flow.destination = *to;
  KEELSON_TRY(flow.port, port_of(target.text("port"), "port"));
  if (auto text = target.text("protocol"); !text.empty()) {
    auto protocol = protocol_of(text);
    if (!protocol) {
      return fail(Kind::invalid, "protocol \"{}\" is none of tcp, udp, sctp", text);
    }
    flow.protocol = *protocol;
  }
  KEELSON_DO(parse_source(router, target.text("from"), flow));
  if (flow.source && flow.source->family() != flow.destination.family()) {
    return fail(Kind::invalid, "{} and {} are of two families", flow.source->to_string(), flow.destination.to_string());
  }
  return flow;
}

dataplane::EngineFacts facts_of(const Router& router) {
  dataplane::EngineFacts facts;
  auto settings = router.settings();
  facts.tcp_sockets = settings.tcp_sockets;
  facts.udp_sockets = settings.udp_sockets;
  facts.masquerade = {settings.masquerade4, settings.masquerade6};
  facts.local_sources = settings.local_sources;
  for (const auto& text : host_addresses()) {
    if (auto address = dataplane::Address::parse(text)) {
      facts.node_addresses.push_back(*address);
    }
  }
  for (const auto& link : ebpf::link_hooks(router.programs())) {
    facts.xdp = facts.xdp || std::ranges::find(link.hooks, "xdp") != link.hooks.end();
  }
  if (auto table = ebpf::ConnectionTable::open(router.programs())) {
    facts.hash_seed = table->hash_seed();
  }
  return facts;
}

json::array endpoints(const dataplane::Service& service, const dataplane::Explanation& why, PodNames& pods) {
  json::array result;
  for (uint32_t place = 0; place < service.backends.size(); place++) {
    const auto& backend = service.backends[place];
    json::object one{{"address", ebpf::SocketAddress{backend.address, backend.port}.to_string()},
                     {"local", backend.local},
                     {"serving", backend.serving},
                     {"mayBeChosen", std::ranges::find(why.pool, place) != why.pool.end()},
                     {"chosen", why.chosen == place}};
    if (auto pod = pods.of(backend.address); !pod.empty()) {
      one["pod"] = pod;
    }
    result.push_back(std::move(one));
  }
  return result;
}

/// Once more where the service keeps clients with their endpoints: which service it is, the first one says.
dataplane::Explanation explain(const Router& router, const NewFlow& flow) {
  const auto& model = router.translator().model();
  auto facts = facts_of(router);
  auto why = dataplane::explain(model, flow, facts);
  auto service = model.services.find(why.service);
  auto row = router.tables().row_of(why.service);
  if (service == model.services.end() || service->second.affinity_seconds == 0 || !row || !flow.source ||
      why.decider == dataplane::Decider::socket) {
    return why;
  }
  auto endpoint = ebpf::affine_endpoint(router.programs(), *row, *flow.source,
                                        std::chrono::seconds(service->second.affinity_seconds));
  if (!endpoint) {
    return why;
  }
  facts.remembered = std::pair(endpoint->address, endpoint->port);
  return dataplane::explain(model, flow, facts);
}

json::object answer(const Router& router, const NewFlow& flow, const dataplane::Explanation& why) {
  PodNames pods(router);
  json::object result{{"from", to_string(why.from)},
                      {"to", ebpf::SocketAddress{flow.destination, flow.port}.to_string()},
                      {"protocol", dataplane::to_string(flow.protocol)},
                      {"outcome", dataplane::to_string(why.outcome)},
                      {"reason", why.reason}};
  if (flow.source) {
    result["source"] =
        flow.source_port ? ebpf::SocketAddress{*flow.source, flow.source_port}.to_string() : flow.source->to_string();
  }
  auto known = router.translator().model().services.find(why.service);
  if (why.outcome == dataplane::Outcome::no_service && why.service.name.empty()) {
    return result;
  }
  result["service"] = why.service.name;
  result["frontend"] = dataplane::to_string(why.kind);
  result["programmed"] = router.tables().is_programmed(why.service);
  result["decidedBy"] = dataplane::to_string(why.decider);
  if (known != router.translator().model().services.end()) {
    result["endpoints"] = endpoints(known->second, why, pods);
  }
  if (why.masquerade_as) {
    result["masqueradeAs"] = why.masquerade_as->to_string();
  }
  if (why.wrapped_to) {
    result["wrappedTo"] = why.wrapped_to->to_string();
  }
  return result;
}

bool is_of(const ebpf::Connection& row, const NewFlow& flow) {
  return !row.reply && row.protocol == flow.protocol && row.frontend.address == flow.destination &&
         row.frontend.port == flow.port && (!flow.source || row.client.address == *flow.source) &&
         (!flow.source_port || row.client.port == flow.source_port);
}

}  // namespace

Task<http::Response> answer_why(const Router* router, http::Request request) {
  KEELSON_CO_TRY(auto flow, parse(*router, request.target));
  auto result = answer(*router, flow, explain(*router, flow));
  KEELSON_CO_TRY(auto table, ebpf::ConnectionTable::open(router->programs()));
  ebpf::ConnectionTable::Position position;
  json::array connections;
  for (bool more = true; more && connections.size() < kConnections;) {
    std::vector<ebpf::Connection> rows;
    KEELSON_CO_TRY(more, table.read(position, rows));
    for (const auto& row : rows) {
      if (is_of(row, flow) && connections.size() < kConnections) {
        const auto* key = router->tables().service_of_row(row.service);
        connections.push_back(connection_json(row, key ? std::string_view(key->name) : std::string_view()));
      }
    }
    co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
  }
  result["connections"] = std::move(connections);
  co_return http::Response{.body = json::serialize(result), .headers = {}, .stream = {}};
}

}  // namespace keelson::network
