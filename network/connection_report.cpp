// SPDX-License-Identifier: Apache-2.0
#include "network/connection_report.h"

#include <algorithm>
#include <cctype>
#include <tuple>
#include <vector>

namespace keelson::network {

namespace json = boost::json;

std::optional<dataplane::Protocol> protocol_of(std::string_view text) {
  std::string upper(text);
  std::ranges::transform(upper, upper.begin(), [](unsigned char c) { return std::toupper(c); });
  for (auto protocol : {dataplane::Protocol::tcp, dataplane::Protocol::udp, dataplane::Protocol::sctp}) {
    if (upper == dataplane::to_string(protocol)) {
      return protocol;
    }
  }
  return std::nullopt;
}

Result<ConnectionFilter> ConnectionFilter::parse(const http::Target& target) {
  ConnectionFilter filter{.service = target.text("service"), .client = {}, .protocol = {}};
  if (auto text = target.text("client"); !text.empty()) {
    filter.client = dataplane::Prefix::parse(text);
    if (!filter.client) {
      return fail(Kind::invalid, "client \"{}\" is no address such as 10.0.0.1, nor a range such as 10.0.0.0/8", text);
    }
  }
  if (auto text = target.text("protocol"); !text.empty()) {
    filter.protocol = protocol_of(text);
    if (!filter.protocol) {
      return fail(Kind::invalid, "protocol \"{}\" is none of tcp, udp, sctp", text);
    }
  }
  return filter;
}

bool ConnectionFilter::takes(const ebpf::Connection& connection, std::string_view service_name) const {
  if (client && !client->contains(connection.client.address)) {
    return false;
  }
  if (protocol && *protocol != connection.protocol) {
    return false;
  }
  bool whole = service_name.starts_with(service) &&
               (service_name.size() == service.size() || service_name[service.size()] == ':');
  return service.empty() || whole;
}

json::object connection_json(const ebpf::Connection& connection, std::string_view service_name) {
  return {{"protocol", dataplane::to_string(connection.protocol)},
          {"client", connection.client.to_string()},
          {"frontend", connection.frontend.to_string()},
          {"backend", connection.backend.to_string()},
          {"source", connection.source.to_string()},
          {"state", ebpf::to_string(connection.state)},
          {"masqueraded", connection.masqueraded},
          {"tunnelled", connection.tunnelled},
          {"service", service_name},
          {"idleSeconds", connection.idle / std::chrono::seconds(1)},
          {"secondsLeft", connection.left / std::chrono::seconds(1)}};
}

void ConnectionTop::add(const ebpf::Connection& connection, std::string_view service_name) {
  bool port = connection.masqueraded && connection.reply;
  auto count = [&](Holders& holders, std::string_view name) {
    auto place = holders.find(name);
    auto& holder = place == holders.end() ? holders[std::string(name)] : place->second;
    holder.rows++;
    holder.ports += port ? 1 : 0;
  };
  all_.rows++;
  all_.ports += port ? 1 : 0;
  count(clients_, connection.client.address.to_string());
  count(services_, service_name);
}

json::array ConnectionTop::first(const Holders& holders, size_t count) {
  std::vector<const Holders::value_type*> order;
  for (const auto& holder : holders) {
    order.push_back(&holder);
  }
  std::ranges::sort(order, [](const auto* a, const auto* b) {
    return std::tuple(b->second.rows, a->first) < std::tuple(a->second.rows, b->first);
  });
  json::array result;
  for (size_t i = 0; i < std::min(count, order.size()); i++) {
    const auto& [name, holder] = *order[i];
    result.push_back({{"name", name}, {"rows", holder.rows}, {"masqueradePorts", holder.ports}});
  }
  return result;
}

json::object ConnectionTop::take(size_t count, uint64_t room) const {
  return {{"rows", all_.rows},
          {"of", room},
          {"masqueradePorts", all_.ports},
          {"clients", first(clients_, count)},
          {"services", first(services_, count)}};
}

}  // namespace keelson::network
