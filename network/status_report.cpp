// SPDX-License-Identifier: Apache-2.0
#include "network/status_report.h"

#include "ebpf/flow_events.h"
#include "ebpf/hooks.h"
#include "ebpf/map_memory.h"

namespace keelson::network {
namespace {

namespace json = boost::json;

json::array texts(const std::vector<std::string>& all) {
  return json::array(all.begin(), all.end());
}

json::object programs(const Router& router, const std::string& socket_cgroup) {
  json::array links;
  for (const auto& link : ebpf::link_hooks(router.programs())) {
    links.push_back({{"name", link.name},
                     {"index", link.ifindex},
                     {"kind", link.kind == ebpf::LinkKind::pod ? "pod" : "uplink"},
                     {"hooks", texts(link.hooks)}});
  }
  json::object sockets;
  auto cgroup = socket_cgroup.empty() ? ebpf::cgroup2_root() : Result<std::string>(socket_cgroup);
  if (cgroup) {
    sockets["cgroup"] = *cgroup;
    sockets["hooks"] = texts(ebpf::socket_hooks(router.programs(), *cgroup).value_or(std::vector<std::string>()));
  }
  return {{"layout", KEELSON_LAYOUT},
          {"takenOver", router.programs().adopted()},
          {"sockets", std::move(sockets)},
          {"links", std::move(links)}};
}

json::array tables(const Router& router) {
  json::array result;
  for (const auto& table : router.tables().usage()) {
    result.push_back({{"name", table.name}, {"used", table.used}, {"of", table.of}});
  }
  for (auto [name, family] :
       {std::pair("connections4", dataplane::Family::ipv4), std::pair("connections6", dataplane::Family::ipv6)}) {
    if (auto load = ebpf::connection_load(router.programs(), family)) {
      result.push_back({{"name", name}, {"used", load->live}, {"of", load->rows}});
    }
  }
  return result;
}

json::object maps(const ebpf::MapGrowth& growth) {
  json::array refused;
  for (const auto& [map, rows] : growth.refused()) {
    refused.push_back({{"map", map}, {"rows", rows}});
  }
  return {{"bytes", growth.bytes().value_or(0)},
          {"budget", growth.budget().bytes},
          {"growths", growth.growths()},
          {"refused", std::move(refused)}};
}

}  // namespace

json::value status_json(const Router& router, const SourceState& source, const std::string& socket_cgroup) {
  const auto& translator = router.translator();
  json::object status{{"node", translator.options().node_name},
                      {"zone", translator.options().zone},
                      {"mode", to_string(router.mode())},
                      {"synced", router.synced()},
                      {"source",
                       {{"from", source.from},
                        {"trouble", source.trouble},
                        {"services", translator.service_count()},
                        {"endpointSlices", translator.slice_count()}}},
                      {"routedServices", translator.model().services.size()},
                      {"programs", programs(router, socket_cgroup)},
                      {"maps", maps(router.map_growth())},
                      {"tables", tables(router)}};
  if (const auto& last = router.last_sync()) {
    status["lastSync"] = {{"time", format_rfc3339(last->at)},
                          {"full", last->full},
                          {"changed", last->changed},
                          {"failed", last->failed},
                          {"microseconds", last->duration / std::chrono::microseconds(1)}};
  }
  if (auto sums = router.programs().counters()) {
    json::object counters;
    for (uint32_t i = 0; i < sums->size(); i++) {
      counters[ebpf::name_of(i).label] = (*sums)[i];
    }
    status["counters"] = std::move(counters);
  }
  return status;
}

}  // namespace keelson::network
