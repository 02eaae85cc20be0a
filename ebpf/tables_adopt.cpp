// SPDX-License-Identifier: Apache-2.0
// The maps as another process left them, and whether they say what they should.
#include <arpa/inet.h>

#include <cstring>

#include "ebpf/batch.h"
#include "ebpf/tables.h"

namespace keelson::ebpf {

using dataplane::FrontendKey;

std::map<FrontendKey, kl_frontend> Tables::read_frontends() const {
  std::map<FrontendKey, kl_frontend> have;
  auto read = for_each_row(
      maps_.frontends, sizeof(kl_frontend_key), sizeof(kl_frontend), [&](const void* key, const void* value) {
        kl_frontend_key k;
        kl_frontend v;
        std::memcpy(&k, key, sizeof k);
        std::memcpy(&v, value, sizeof v);
        have[{from_kl(k.address), ntohs(k.port), static_cast<dataplane::Protocol>(k.protocol)}] = v;
      });
  // What cannot be read is written anew.
  return read ? have : std::map<FrontendKey, kl_frontend>{};
}

// Every row in use is taken before any new one is given out; records know what the former process had for each service.
std::vector<uint32_t> Tables::adopt_rows(const dataplane::Model& model,
                                         const std::map<FrontendKey, kl_frontend>& have) {
  std::map<uint32_t, std::vector<uint32_t>> names_of;
  std::vector<uint32_t> claimed;
  for (uint32_t row = 1; row < maps_.backend_rows; row++) {
    const auto& backend = backends_[row];
    if (backend.name == 0 || KL_BACKEND_ROW(backend.name) != row) {
      continue;
    }
    if (backend_rows_.claim(row, 1)) {
      names_of[backend.service].push_back(backend.name);
    }
  }
  for (uint32_t row = 1; row < maps_.service_rows; row++) {
    auto& service = services_[row];
    bool used = false;
    for (auto& pool : service.pool) {
      if (KL_POOL_COUNT(pool) == 0) {
        continue;
      }
      used = true;
      // Two services on one range cannot be: what was torn is written anew.
      if (!slot_rows_.claim(KL_POOL_BASE(pool), KL_POOL_COUNT(pool))) {
        pool = 0;
      }
    }
    if (used && service_rows_.claim(row, 1)) {
      claimed.push_back(row);
    }
  }
  for (const auto& [key, row] : have) {
    next_ranges_ = std::max(next_ranges_, row.ranges + 1);
    if (service_rows_.claim(row.service, 1)) {
      claimed.push_back(row.service);
    }
  }
  for (const auto& [key, service] : model.services) {
    for (const auto& frontend : service.frontends) {
      auto found = have.find({frontend.address, frontend.port, service.protocol});
      if (found == have.end()) {
        continue;
      }
      auto row = found->second.service;
      if (row == 0 || row >= maps_.service_rows || by_row_.contains(row)) {
        continue;
      }
      Record record{.row = row};
      record.service.protocol = service.protocol;
      for (auto name : names_of[row]) {
        const auto& backend = backends_[KL_BACKEND_ROW(name)];
        record.service.backends.push_back({from_kl(backend.address), ntohs(backend.port)});
        record.names.push_back(name);
      }
      for (int pool : {KL_CLUSTER, KL_LOCAL}) {
        record.pools[pool] = services_[row].pool[pool];
      }
      auto place = records_.emplace(key, std::move(record)).first;
      by_row_[row] = &place->first;
      break;
    }
  }
  return claimed;
}

// Rows that were in use and that no record has.
void Tables::free_orphans(const std::vector<uint32_t>& service_rows, TimePoint now) {
  Batch batch;
  std::set<uint32_t> named;
  for (const auto& [key, record] : records_) {
    named.insert(record.names.begin(), record.names.end());
  }
  for (uint32_t row = 1; row < maps_.backend_rows; row++) {
    auto name = backends_[row].name;
    if (name && !named.contains(name)) {
      batch.names.push_back(name);
    }
  }
  for (auto row : service_rows) {
    if (by_row_.contains(row)) {
      continue;
    }
    batch.service_rows.push_back(row);
    for (auto pool : services_[row].pool) {
      batch.pools.push_back(pool);
    }
  }
  free_rows(batch, now);
}

std::vector<Error> Tables::adopt(const dataplane::Model& model, TimePoint now) {
  auto have = read_frontends();
  auto claimed = adopt_rows(model, have);
  auto errors = apply(model.services, {}, now);
  std::vector<kl_frontend_key> gone;
  for (const auto& [key, row] : have) {
    if (!claims_.owner(key)) {
      gone.push_back({to_kl(key.address), htons(key.port), static_cast<uint8_t>(key.protocol), 0});
    }
  }
  if (auto deleted = delete_batch(maps_.frontends, gone.data(), sizeof(kl_frontend_key), gone.size()); !deleted) {
    errors.push_back(deleted.error());
  }
  free_orphans(claimed, now);
  return errors;
}

// Whether each slot names one of the backends that it may, and each of these has one.
bool Tables::pool_is_written(const Record& record, int pool) const {
  const auto& places = pool == KL_LOCAL ? record.service.local : record.service.cluster;
  std::set<uint32_t> wanted, have;
  for (auto place : places) {
    wanted.insert(record.names[place]);
  }
  for (uint32_t i = 0; i < KL_POOL_COUNT(record.pools[pool]); i++) {
    have.insert(slots_[KL_POOL_BASE(record.pools[pool]) + i]);
  }
  return have == wanted;
}

std::vector<std::string> Tables::differences(const dataplane::Model& wanted) const {
  auto lines = differences();
  auto text = [](const dataplane::ServiceKey& key) {
    return fmt::format("service {} ({})", key.name, key.family == dataplane::Family::ipv4 ? "IPv4" : "IPv6");
  };
  for (const auto& [key, service] : wanted.services) {
    auto known = records_.find(key);
    if (known == records_.end()) {
      lines.push_back("missing: " + text(key));
    } else if (known->second.service != service) {
      lines.push_back("outdated: " + text(key));
    }
  }
  for (const auto& [key, record] : records_) {
    if (!wanted.services.contains(key)) {
      lines.push_back("extra: " + text(key));
    }
  }
  return lines;
}

std::vector<std::string> Tables::differences() const {
  std::vector<std::string> lines;
  auto have = read_frontends();
  for (const auto& [key, record] : records_) {
    for (size_t i = 0; i < record.service.frontends.size(); i++) {
      const auto& frontend = record.service.frontends[i];
      FrontendKey place{frontend.address, frontend.port, record.service.protocol};
      const auto* owner = claims_.owner(place);
      if (!owner || *owner != key) {
        continue;
      }
      auto text =
          fmt::format("{} {}:{}/{}", key.name, frontend.address.to_string(), frontend.port, to_string(place.protocol));
      auto found = have.find(place);
      auto wanted = frontend_row(record, i);
      if (found == have.end()) {
        lines.push_back("missing: " + text);
      } else if (std::memcmp(&found->second, &wanted, sizeof wanted) != 0) {
        lines.push_back("differs: " + text);
      }
      if (found != have.end()) {
        have.erase(found);
      }
    }
    for (int pool : {KL_CLUSTER, KL_LOCAL}) {
      if (services_[record.row].pool[pool] != record.pools[pool] || !pool_is_written(record, pool)) {
        lines.push_back(
            fmt::format("differs: {} endpoints of the {}", key.name, pool == KL_LOCAL ? "node" : "cluster"));
      }
    }
    for (size_t i = 0; i < record.names.size(); i++) {
      const auto& wanted = record.service.backends[i];
      const auto& row = backends_[KL_BACKEND_ROW(record.names[i])];
      if (row.name != record.names[i] || from_kl(row.address) != wanted.address || ntohs(row.port) != wanted.port ||
          row.flags != flags_of(record.service, i)) {
        lines.push_back(fmt::format("differs: {} endpoint {}:{}", key.name, wanted.address.to_string(), wanted.port));
      }
    }
  }
  for (const auto& [place, row] : have) {
    lines.push_back(fmt::format("extra: {}:{}/{}", place.address.to_string(), place.port, to_string(place.protocol)));
  }
  return lines;
}

}  // namespace keelson::ebpf
