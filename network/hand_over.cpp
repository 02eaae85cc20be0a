// SPDX-License-Identifier: Apache-2.0
#include "network/hand_over.h"

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "common/log.h"

namespace keelson::network {
namespace {

constexpr auto kLookEach = std::chrono::seconds(2);
constexpr auto kTellEach = std::chrono::minutes(1);

using Endpoint = std::tuple<dataplane::Protocol, dataplane::Address, uint16_t>;

std::set<Endpoint> endpoints_of(const dataplane::Model& model) {
  std::set<Endpoint> endpoints;
  for (const auto& [key, service] : model.services) {
    for (const auto& backend : service.backends) {
      endpoints.emplace(service.protocol, backend.address, backend.port);
    }
  }
  return endpoints;
}

/// A direct connection is in the table only for its port.
bool is_translated(const ebpf::Connection& row) {
  return row.client != row.source || row.frontend != row.backend;
}

Result<bool> read_some(const ebpf::ConnectionTable& table, ebpf::ConnectionTable::Position& position,
                       FlowCount& count) {
  std::vector<ebpf::Connection> rows;
  KEELSON_TRY(bool more, table.read(position, rows));
  std::ranges::for_each(rows, [&](const auto& row) { count.add(row); });
  return more;
}

/// open_flows(), and everything else on the loop has its turn in between.
Task<OpenFlows> open_flows_by_and_by(const ebpf::Programs* programs) {
  KEELSON_CO_TRY(auto table, ebpf::ConnectionTable::open(*programs));
  FlowCount count;
  ebpf::ConnectionTable::Position position;
  for (bool more = true; more;) {
    KEELSON_CO_TRY(more, read_some(table, position, count));
    co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
  }
  co_return std::move(count).take();
}

void tell(const OpenFlows& flows) {
  log::info("hand-back: {} flows are still ours, {} of them masqueraded", flows.count, flows.ports.size());
}

}  // namespace

Result<size_t> keep_stack_ports(const ebpf::Programs& programs, const dataplane::Model& model,
                                const std::array<dataplane::Address, 2>& node) {
  KEELSON_TRY(auto conntrack, Conntrack::open());
  KEELSON_TRY(auto ports, conntrack.masqueraded());
  KEELSON_TRY(auto table, ebpf::ConnectionTable::open(programs));
  auto endpoints = endpoints_of(model);
  size_t kept = 0;
  for (const auto& port : ports) {
    if (std::ranges::find(node, port.node.address) == node.end() ||
        !endpoints.contains({port.protocol, port.endpoint.address, port.endpoint.port})) {
      continue;
    }
    KEELSON_TRY(bool done, table.keep_port(port.protocol, port.endpoint, port.node, port.state));
    kept += done ? 1 : 0;
  }
  return kept;
}

void FlowCount::add(const ebpf::Connection& row) {
  if (!is_translated(row)) {
    return;
  }
  (row.reply ? replies_ : requests_)++;
  if (row.masqueraded) {
    ports_.push_back({row.protocol, row.backend, row.source, row.state});
  }
}

OpenFlows FlowCount::take() && {
  std::ranges::sort(ports_);
  ports_.erase(std::unique(ports_.begin(), ports_.end()), ports_.end());
  return {std::max(requests_, replies_), std::move(ports_)};
}

Result<OpenFlows> open_flows(const ebpf::Programs& programs) {
  KEELSON_TRY(auto table, ebpf::ConnectionTable::open(programs));
  FlowCount count;
  ebpf::ConnectionTable::Position position;
  for (bool more = true; more;) {
    KEELSON_TRY(more, read_some(table, position, count));
  }
  return std::move(count).take();
}

Result<> hold_ports(const OpenFlows& flows) {
  if (flows.ports.empty()) {
    return {};
  }
  KEELSON_TRY(auto conntrack, Conntrack::open());
  return conntrack.hold(flows.ports, kHeldFor);
}

Task<uint64_t> wait_for_last_flow(Loop* loop, const ebpf::Programs* programs, Duration limit) {
  const auto started = loop->clock().steady();
  std::optional<SteadyTime> held, told;
  for (;;) {
    KEELSON_CO_TRY(auto flows, co_await open_flows_by_and_by(programs));
    const auto now = loop->clock().steady();
    if (flows.count == 0 || (limit > Duration(0) && now - started >= limit)) {
      co_return flows.count;
    }
    if (!held || now - *held >= kHeldFor / 3) {
      if (auto done = hold_ports(flows); !done) {
        log::warning("hand-back: the other proxy may masquerade with ports of ours: {}", done.error().message());
      }
      held = now;
    }
    if (!told || now - *told >= kTellEach) {
      tell(flows);
      told = now;
    }
    KEELSON_CO_DO(co_await loop->sleep(kLookEach));
  }
}

}  // namespace keelson::network
