// SPDX-License-Identifier: Apache-2.0
// How many rows there are, how many are wanted, and going over to maps that have more.
#include <algorithm>
#include <iterator>

#include "dataplane/maglev.h"
#include "ebpf/tables.h"

namespace keelson::ebpf {

using dataplane::Service;

namespace {

// What another state of a service takes beside the one before: the endpoints that come, and pools that are others.
TableRows more_rows(const Service& before, const Service& after) {
  auto rows = rows_of(after);
  std::vector<dataplane::Backend> fresh;
  auto place = [](const dataplane::Backend& backend) { return std::pair(backend.address, backend.port); };
  std::ranges::set_difference(after.backends, before.backends, std::back_inserter(fresh), {}, place, place);
  bool same_pools = fresh.empty() && after.backends.size() == before.backends.size() &&
                    after.cluster == before.cluster && after.local == before.local &&
                    after.algorithm == before.algorithm;
  size_t had = std::min(before.frontends.size(), after.frontends.size());
  return {rows.frontends - had, 0, same_pools ? 0 : rows.slots, fresh.size()};
}

}  // namespace

std::vector<TableUsage> Tables::usage() const {
  auto rows = used();
  return {{"services", rows.services, maps_.service_rows - 1},
          {"slots", rows.slots, maps_.slot_rows},
          {"backends", rows.backends, maps_.backend_rows - 1},
          {"frontends", rows.frontends, maps_.frontend_rows}};
}

TableRows Tables::used() const {
  return {claims_.size(), service_rows_.used(), slot_rows_.used(), backend_rows_.used()};
}

TableRows Tables::wanted(const dataplane::Delta& change) const {
  auto rows = used();
  for (const auto& [key, service] : change.changed) {
    auto known = records_.find(key);
    rows += known == records_.end() ? rows_of(service) : more_rows(known->second.service, service);
  }
  return rows;
}

Result<> Tables::grow(const TableMaps& maps) {
  KEELSON_TRY(auto services, MappedArray<kl_service>::map(maps.services, maps.service_rows, "services"));
  KEELSON_TRY(auto slots, MappedArray<uint32_t>::map(maps.slots, maps.slot_rows, "slots"));
  KEELSON_TRY(auto backends, MappedArray<kl_backend>::map(maps.backends, maps.backend_rows, "backends"));
  services_ = std::move(services);
  slots_ = std::move(slots);
  backends_ = std::move(backends);
  service_rows_.extend(maps.service_rows);
  slot_rows_.extend(maps.slot_rows);
  backend_rows_.extend(maps.backend_rows);
  maps_ = maps;
  return {};
}

TableRows& TableRows::operator+=(const TableRows& more) {
  frontends += more.frontends;
  services += more.services;
  slots += more.slots;
  backends += more.backends;
  return *this;
}

TableRows rows_of(const Service& service) {
  auto slots = [&](const std::vector<uint32_t>& places) -> uint64_t {
    bool maglev = service.algorithm == dataplane::Algorithm::maglev && !places.empty();
    return maglev ? dataplane::maglev_table_size(places.size()) : places.size();
  };
  return {service.frontends.size(), 1, slots(service.cluster) + slots(service.local), service.backends.size()};
}

TableRows rows_of(const dataplane::Model& model) {
  TableRows rows;
  for (const auto& [key, service] : model.services) {
    rows += rows_of(service);
  }
  return rows;
}

}  // namespace keelson::ebpf
