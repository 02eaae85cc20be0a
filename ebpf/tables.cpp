// SPDX-License-Identifier: Apache-2.0
#include "ebpf/tables.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>

#include <algorithm>
#include <cstring>
#include <ranges>

#include "dataplane/maglev.h"
#include "ebpf/batch.h"

namespace keelson::ebpf {
namespace {

using dataplane::FrontendKey;
using dataplane::Service;
using dataplane::ServiceKey;

kl_frontend_key to_kl(const FrontendKey& key) {
  return {ebpf::to_kl(key.address), htons(key.port), static_cast<uint8_t>(key.protocol), 0};
}

FrontendKey key_of(const Service& service, const dataplane::Frontend& frontend) {
  return {frontend.address, frontend.port, service.protocol};
}

uint8_t to_kl(const dataplane::Use& use) {
  uint8_t verdict = KL_REJECT;
  switch (use.verdict) {
    case dataplane::Verdict::cluster:
      verdict = KL_CLUSTER;
      break;
    case dataplane::Verdict::local:
      verdict = KL_LOCAL;
      break;
    case dataplane::Verdict::reject:
      verdict = KL_REJECT;
      break;
    case dataplane::Verdict::drop:
      verdict = KL_DROP;
      break;
  }
  return verdict | (use.masquerade ? KL_USE_MASQUERADE : 0);
}

bool holds(const std::vector<uint32_t>& all, uint32_t one) {
  return std::ranges::find(all, one) != all.end();
}

// Zero where it cannot be wrapped for: the outer packet is of the family of the inner.
kl_addr node_of(const dataplane::Backend& backend) {
  bool usable = !backend.node.is_unspecified() && backend.node.family() == backend.address.family();
  return usable ? ebpf::to_kl(backend.node) : kl_addr{};
}

// IPv4 addresses are 96 bits further in.
kl_range_key range_key(uint32_t ranges, const dataplane::Prefix& prefix) {
  uint32_t bits = 32u + prefix.length + (prefix.address.is_v4() ? 96u : 0u);
  return {bits, ranges, ebpf::to_kl(prefix.address)};
}

}  // namespace

kl_addr to_kl(const dataplane::Address& address) {
  kl_addr result;
  std::memcpy(&result, address.bytes.data(), sizeof result);
  return result;
}

dataplane::Address from_kl(const kl_addr& address) {
  dataplane::Address result;
  std::memcpy(result.bytes.data(), &address, sizeof address);
  return result;
}

uint16_t Tables::flags_of(const Service& service, size_t place) {
  const auto& backend = service.backends[place];
  auto is_in = [place](const std::vector<uint32_t>& pool) { return std::ranges::binary_search(pool, place); };
  return static_cast<uint16_t>((backend.serving ? KL_BACKEND_SERVING : 0) | (backend.local ? KL_BACKEND_ON_NODE : 0) |
                               (is_in(service.cluster) ? KL_BACKEND_IN_CLUSTER : 0) |
                               (is_in(service.local) ? KL_BACKEND_IN_LOCAL : 0));
}

Result<Tables> Tables::open(const TableMaps& maps) {
  KEELSON_TRY(auto services, MappedArray<kl_service>::map(maps.services, maps.service_rows, "services"));
  KEELSON_TRY(auto slots, MappedArray<uint32_t>::map(maps.slots, maps.slot_rows, "slots"));
  KEELSON_TRY(auto backends, MappedArray<kl_backend>::map(maps.backends, maps.backend_rows, "backends"));
  return Tables(std::move(services), std::move(slots), std::move(backends), maps);
}

// Row 0 of each is nobody.
Tables::Tables(MappedArray<kl_service> services, MappedArray<uint32_t> slots, MappedArray<kl_backend> backends,
               const TableMaps& maps)
    : maps_(maps),
      services_(std::move(services)),
      slots_(std::move(slots)),
      backends_(std::move(backends)),
      service_rows_(1, maps.service_rows),
      slot_rows_(0, maps.slot_rows),
      backend_rows_(1, maps.backend_rows) {}

std::vector<Error> Tables::apply(const dataplane::Delta& change, TimePoint now) {
  return apply(change.changed, change.removed, now);
}

std::vector<Error> Tables::apply(const Services& changed, const std::vector<ServiceKey>& removed, TimePoint now) {
  std::vector<Error> errors;
  Batch batch;
  for (const auto& key : removed) {
    remove(key, batch);
  }
  for (const auto& [key, service] : changed) {
    if (auto done = upsert(key, service, batch, now).context("service {}", key.name); !done) {
      errors.push_back(done.error());
    }
  }
  if (auto written = write_frontends(batch); !written) {
    errors.push_back(written.error());
  }
  free_rows(batch, now);
  return errors;
}

Result<> Tables::take_backends(Record& next, const OldNames& old, std::vector<uint32_t>& fresh, TimePoint now) {
  for (size_t place = 0; place < next.service.backends.size(); place++) {
    const auto& backend = next.service.backends[place];
    if (auto known = old.find({backend.address, backend.port}); known != old.end()) {
      next.names.push_back(known->second);
      auto& row = backends_[KL_BACKEND_ROW(known->second)];
      store<__u32>(row.service, next.row);
      store(row.flags, flags_of(next.service, place));
      row.node = node_of(backend);
      continue;
    }
    auto free = backend_rows_.take(1, now);
    if (!free) {
      return fail(Kind::exhausted, "no room for endpoint {}: all {} rows of backends are in use",
                  backend.address.to_string(), maps_.backend_rows);
    }
    auto& row = backends_[*free];
    row.address = ebpf::to_kl(backend.address);
    row.port = htons(backend.port);
    row.flags = flags_of(next.service, place);
    row.service = next.row;
    row.node = node_of(backend);
    // A name is never 0, not even of row 0; generation 0 is skipped so that a fresh map's rows differ from it, too.
    row.generation = row.generation % 255 + 1;
    uint32_t name = KL_BACKEND_NAME(*free, row.generation);
    store(row.name, name);
    next.names.push_back(name);
    fresh.push_back(name);
  }
  return {};
}

Result<uint64_t> Tables::write_pool(const Record& next, const std::vector<uint32_t>& places, uint64_t old,
                                    TimePoint now) {
  if (places.empty()) {
    return 0;
  }
  std::vector<uint32_t> table = places;
  if (next.service.algorithm == dataplane::Algorithm::maglev) {
    std::vector<dataplane::WeightedBackend> members;
    for (auto place : places) {
      members.push_back({next.service.backends[place].address, next.service.backends[place].port});
    }
    table = dataplane::maglev_table(members, dataplane::maglev_table_size(members.size()));
    for (auto& entry : table) {
      entry = places[entry];
    }
  }
  auto size = static_cast<uint32_t>(table.size());
  auto is_written = [&](uint32_t i) { return slots_[KL_POOL_BASE(old) + i] == next.names[table[i]]; };
  if (KL_POOL_COUNT(old) == size && std::ranges::all_of(std::views::iota(0u, size), is_written)) {
    return old;
  }
  auto base = slot_rows_.take(size, now);
  if (!base) {
    return fail(Kind::exhausted, "no room for {} slots: {} of {} are in use", size, slot_rows_.used(), maps_.slot_rows);
  }
  for (uint32_t i = 0; i < size; i++) {
    store(slots_[*base + i], next.names[table[i]]);
  }
  return KL_POOL(*base, size);
}

Result<> Tables::take_ranges(Record& next, const Record* old) {
  for (size_t i = 0; i < next.service.frontends.size(); i++) {
    const auto& ranges = next.service.frontends[i].source_ranges;
    next.ranges.push_back(0);
    if (ranges.empty()) {
      continue;
    }
    for (size_t j = 0; old && j < old->service.frontends.size(); j++) {
      if (old->ranges[j] && old->service.frontends[j].source_ranges == ranges) {
        next.ranges[i] = old->ranges[j];
      }
    }
    if (next.ranges[i]) {
      continue;
    }
    uint32_t id = next_ranges_++, one = 1;
    for (const auto& prefix : ranges) {
      auto key = range_key(id, prefix);
      if (bpf_map_update_elem(maps_.source_ranges, &key, &one, BPF_ANY) != 0) {
        return fail_errno(errno, "source range {}", prefix.to_string());
      }
    }
    next.ranges[i] = id;
  }
  return {};
}

void Tables::give_up_pools(const Record& record, const Record* successor, Batch& batch) {
  for (size_t i = 0; i < std::size(record.pools); i++) {
    if (!successor || successor->pools[i] != record.pools[i]) {
      batch.pools.push_back(record.pools[i]);
    }
  }
}

void Tables::give_up_ranges(const Record& record, const Record* successor, Batch& batch) {
  for (size_t i = 0; i < record.ranges.size(); i++) {
    auto id = record.ranges[i];
    if (!id || (successor && holds(successor->ranges, id))) {
      continue;
    }
    batch.ranges.emplace_back(id, record.service.frontends[i].source_ranges);
  }
}

Result<> Tables::upsert(const ServiceKey& key, const Service& service, Batch& batch, TimePoint now) {
  auto known = records_.find(key);
  Record* old = known == records_.end() ? nullptr : &known->second;
  Record next{.service = service};
  if (old) {
    next.row = old->row;
  } else if (auto row = service_rows_.take(1, now)) {
    next.row = *row;
    services_[*row] = {};
  } else {
    return fail(Kind::exhausted, "no room: all {} rows of services are in use", maps_.service_rows);
  }
  OldNames old_names;
  for (size_t i = 0; old && i < old->names.size(); i++) {
    old_names[{old->service.backends[i].address, old->service.backends[i].port}] = old->names[i];
  }
  std::vector<uint32_t> fresh;
  auto undo = [&](Error error) -> Result<> {
    for (auto name : fresh) {
      batch.names.push_back(name);
    }
    give_up_pools(next, old, batch);
    if (!old) {
      batch.service_rows.push_back(next.row);
    }
    return std::unexpected(std::move(error));
  };
  if (auto taken = take_backends(next, old_names, fresh, now); !taken) {
    return undo(taken.error());
  }
  for (int pool : {KL_CLUSTER, KL_LOCAL}) {
    const auto& places = pool == KL_CLUSTER ? service.cluster : service.local;
    auto written = write_pool(next, places, old ? old->pools[pool] : 0, now);
    if (!written) {
      return undo(written.error());
    }
    next.pools[pool] = *written;
  }
  if (auto taken = take_ranges(next, old); !taken) {
    return undo(taken.error());
  }

  auto& row = services_[next.row];
  row.affinity_seconds = service.affinity_seconds;
  row.flags = (service.algorithm == dataplane::Algorithm::maglev ? KL_SERVICE_MAGLEV : 0u) |
              (service.forwarding == dataplane::Forwarding::dsr ? KL_SERVICE_DSR : 0u);
  for (int pool : {KL_CLUSTER, KL_LOCAL}) {
    store<__u64>(row.pool[pool], next.pools[pool]);
  }

  if (old) {
    for (const auto& frontend : old->service.frontends) {
      claims_.remove(key_of(old->service, frontend), key);
      batch.touched[key_of(old->service, frontend)];
    }
    for (auto name : old->names) {
      if (!holds(next.names, name)) {
        batch.names.push_back(name);
      }
    }
    give_up_pools(*old, &next, batch);
    give_up_ranges(*old, &next, batch);
  }
  for (const auto& frontend : service.frontends) {
    claims_.add(key_of(service, frontend), key);
    batch.touched[key_of(service, frontend)];
  }
  auto [place, is_new] = records_.insert_or_assign(key, std::move(next));
  by_row_[place->second.row] = &place->first;
  return {};
}

void Tables::remove(const ServiceKey& key, Batch& batch) {
  auto known = records_.find(key);
  if (known == records_.end()) {
    return;
  }
  Record& record = known->second;
  for (const auto& frontend : record.service.frontends) {
    claims_.remove(key_of(record.service, frontend), key);
    batch.touched[key_of(record.service, frontend)];
  }
  for (auto name : record.names) {
    batch.names.push_back(name);
  }
  give_up_pools(record, nullptr, batch);
  batch.service_rows.push_back(record.row);
  give_up_ranges(record, nullptr, batch);
  by_row_.erase(record.row);
  records_.erase(known);
}

kl_frontend Tables::frontend_row(const Record& record, size_t index) const {
  const auto& frontend = record.service.frontends[index];
  kl_frontend row{};
  row.service = record.row;
  row.ranges = record.ranges[index];
  for (size_t from = 0; from < KL_FROM_COUNT; from++) {
    row.use[from] = to_kl(frontend.uses[from]);
  }
  row.flags = row.ranges ? KL_FRONTEND_SOURCE_RANGES : 0;
  row.flags |= frontend.kind == dataplane::FrontendKind::node_port ? KL_FRONTEND_NODE_ADDRESS : 0;
  return row;
}

Result<> Tables::write_frontends(const Batch& batch) {
  std::vector<kl_frontend_key> keys, gone;
  std::vector<kl_frontend> rows;
  for (const auto& [key, unused] : batch.touched) {
    const auto* owner = claims_.owner(key);
    if (!owner) {
      gone.push_back(to_kl(key));
      continue;
    }
    const Record& record = records_.at(*owner);
    auto frontend =
        std::ranges::find_if(record.service.frontends, [&](const auto& f) { return key_of(record.service, f) == key; });
    keys.push_back(to_kl(key));
    rows.push_back(frontend_row(record, frontend - record.service.frontends.begin()));
  }
  KEELSON_DO(update_batch(maps_.frontends, keys.data(), rows.data(), keys.size()).context("frontends"));
  if (!keys.empty()) {
    store(services_[0].new_flows, services_[0].new_flows + 1);
  }
  return delete_batch(maps_.frontends, gone.data(), sizeof(kl_frontend_key), gone.size()).context("frontends");
}

void Tables::free_rows(const Batch& batch, TimePoint now) {
  for (auto row : batch.service_rows) {
    for (auto& pool : services_[row].pool) {
      store<__u64>(pool, 0);
    }
    service_rows_.give_back(row, 1, now);
  }
  for (auto name : batch.names) {
    store<__u32>(backends_[KL_BACKEND_ROW(name)].name, 0);
    backend_rows_.give_back(KL_BACKEND_ROW(name), 1, now);
  }
  for (auto pool : batch.pools) {
    slot_rows_.give_back(KL_POOL_BASE(pool), KL_POOL_COUNT(pool), now);
  }
  for (const auto& [id, prefixes] : batch.ranges) {
    for (const auto& prefix : prefixes) {
      auto key = range_key(id, prefix);
      bpf_map_delete_elem(maps_.source_ranges, &key);
    }
  }
}

uint64_t Tables::new_flows(const ServiceKey& service) const {
  auto known = records_.find(service);
  return known == records_.end() ? 0 : __atomic_load_n(&services_[known->second.row].new_flows, __ATOMIC_RELAXED);
}

std::optional<uint32_t> Tables::row_of(const ServiceKey& service) const {
  auto known = records_.find(service);
  return known == records_.end() ? std::nullopt : std::optional(known->second.row);
}

const ServiceKey* Tables::service_of_row(uint32_t row) const {
  auto known = by_row_.find(row);
  return known == by_row_.end() ? nullptr : known->second;
}

}  // namespace keelson::ebpf
