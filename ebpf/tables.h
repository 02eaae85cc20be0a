// SPDX-License-Identifier: Apache-2.0
// Brings a dataplane::Model into the maps of the BPF programs (bpf/abi.h), and reads back what is in them.
//
// A change costs what changes. At each moment a packet sees the state before or the state after, never half of one:
// what is pointed to is written before what points to it, and freed after. Killed at any moment, the maps still work;
// adopt() of the next process keeps every row that is still wanted, so that flows stay with their backends.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/result.h"
#include "dataplane/claims.h"
#include "dataplane/model.h"
#include "ebpf/allocator.h"
#include "ebpf/bpf/abi.h"
#include "ebpf/mapped_array.h"

namespace keelson::ebpf {

/// The maps, as open descriptors, which outlive the Tables; and how many rows each has.
struct TableMaps {
  int frontends = -1;
  int services = -1;
  int slots = -1;
  int backends = -1;
  int source_ranges = -1;
  uint32_t frontend_rows = 0;
  uint32_t service_rows = 0;
  uint32_t slot_rows = 0;
  uint32_t backend_rows = 0;
};

struct TableUsage {
  std::string name;
  uint64_t used = 0;
  uint64_t of = 0;
};

/// Rows of each table.
struct TableRows {
  uint64_t frontends = 0;
  uint64_t services = 0;
  uint64_t slots = 0;
  uint64_t backends = 0;
  TableRows& operator+=(const TableRows& more);
};
/// What a service takes.
TableRows rows_of(const dataplane::Service& service);
TableRows rows_of(const dataplane::Model& model);

kl_addr to_kl(const dataplane::Address& address);
dataplane::Address from_kl(const kl_addr& address);

/// One thread at a time.
class Tables {
 public:
  /// Of fresh maps, or of those that another process has filled: then call adopt() before anything else.
  static Result<Tables> open(const TableMaps& maps);

  /// Over filled maps: makes them say `model`, changing only what differs. A service is known again by its frontends, a
  /// backend by its service, address and port. Errors as apply().
  std::vector<Error> adopt(const dataplane::Model& model, TimePoint now);

  /// Carries a change out. One Error for each service that did not fit or could not be written, naming it: it stays as
  /// it was. Kind::exhausted names the table. Nothing else is touched by it.
  std::vector<Error> apply(const dataplane::Delta& change, TimePoint now);

  /// Rows in use once the change is carried out, at most: what it replaces is given back a second later.
  TableRows wanted(const dataplane::Delta& change) const;
  TableRows used() const;
  /// The maps are others now, with all that was in these, and no smaller (Programs::grow()).
  Result<> grow(const TableMaps& maps);

  /// What a service had since its row was made: new flows. 0 if it is not programmed.
  uint64_t new_flows(const dataplane::ServiceKey& service) const;
  bool is_programmed(const dataplane::ServiceKey& service) const { return records_.contains(service); }
  std::optional<uint32_t> row_of(const dataplane::ServiceKey& service) const;
  /// The service that has this row, or nullptr.
  const dataplane::ServiceKey* service_of_row(uint32_t row) const;
  std::vector<TableUsage> usage() const;
  /// Where the maps do not say what they should, as text lines; empty: they do. Reads the maps.
  std::vector<std::string> differences() const;
  /// The same, and where what they should say is not what is wanted: what could not be written.
  std::vector<std::string> differences(const dataplane::Model& wanted) const;

 private:
  struct BackendKey {
    dataplane::Address address;
    uint16_t port = 0;
    auto operator<=>(const BackendKey&) const = default;
  };
  struct Record {
    uint32_t row = 0;
    dataplane::Service service;
    std::vector<uint32_t> names;  // of service.backends, in their order
    uint64_t pools[2] = {0, 0};
    std::vector<uint32_t> ranges;  // of service.frontends, in their order; 0: none
  };
  /// What an apply() collects for its end.
  struct Batch {
    std::map<dataplane::FrontendKey, bool> touched;
    std::vector<uint32_t> names;  // to free
    std::vector<uint64_t> pools;  // to free
    std::vector<uint32_t> service_rows;
    std::vector<std::pair<uint32_t, std::vector<dataplane::Prefix>>> ranges;
  };
  using Services = std::map<dataplane::ServiceKey, dataplane::Service>;
  using OldNames = std::map<BackendKey, uint32_t>;

  Tables(MappedArray<kl_service> services, MappedArray<uint32_t> slots, MappedArray<kl_backend> backends,
         const TableMaps& maps);

  std::vector<Error> apply(const Services& changed, const std::vector<dataplane::ServiceKey>& removed, TimePoint now);
  Result<> upsert(const dataplane::ServiceKey& key, const dataplane::Service& service, Batch& batch, TimePoint now);
  Result<> take_backends(Record& next, const OldNames& old, std::vector<uint32_t>& fresh, TimePoint now);
  Result<uint64_t> write_pool(const Record& next, const std::vector<uint32_t>& places, uint64_t old, TimePoint now);
  Result<> take_ranges(Record& next, const Record* old);
  void remove(const dataplane::ServiceKey& key, Batch& batch);
  void give_up_pools(const Record& record, const Record* successor, Batch& batch);
  void give_up_ranges(const Record& record, const Record* successor, Batch& batch);
  Result<> write_frontends(const Batch& batch);
  void free_rows(const Batch& batch, TimePoint now);
  bool pool_is_written(const Record& record, int pool) const;
  static uint16_t flags_of(const dataplane::Service& service, size_t place);  // kl_backend_flags of one of its backends
  kl_frontend frontend_row(const Record& record, size_t index) const;
  std::map<dataplane::FrontendKey, kl_frontend> read_frontends() const;
  /// The rows of services that were in use.
  std::vector<uint32_t> adopt_rows(const dataplane::Model& model,
                                   const std::map<dataplane::FrontendKey, kl_frontend>& have);
  void free_orphans(const std::vector<uint32_t>& service_rows, TimePoint now);

  TableMaps maps_;
  MappedArray<kl_service> services_;
  MappedArray<uint32_t> slots_;
  MappedArray<kl_backend> backends_;
  RangeAllocator service_rows_, slot_rows_, backend_rows_;
  std::map<dataplane::ServiceKey, Record> records_;
  std::unordered_map<uint32_t, const dataplane::ServiceKey*> by_row_;
  dataplane::Claims claims_;
  uint32_t next_ranges_ = 1;
};

}  // namespace keelson::ebpf
