// SPDX-License-Identifier: Apache-2.0
#include "ebpf/takeover.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <string_view>

#include "ebpf/batch.h"

namespace keelson::ebpf {
namespace {

constexpr uint32_t kBucketsAtOnce = 1024;
constexpr uint32_t kRowsAtOnce = 4096;

bool is_zero(const std::byte* bytes, size_t size) {
  return std::all_of(bytes, bytes + size, [](std::byte b) { return b == std::byte{0}; });
}

uint64_t hash_of(const std::byte* bytes, size_t size) {
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(bytes), size});
}

uint32_t kl_time_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return static_cast<uint32_t>((static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + now.tv_nsec) >> KL_TIME_SHIFT);
}

Result<std::vector<std::byte>> only_row(int map, const Form& form) {
  std::vector<std::byte> row(form.size);
  uint32_t key = 0;
  if (bpf_map_lookup_elem(map, &key, row.data()) != 0) {
    return fail_errno(errno, "read the configuration map");
  }
  return row;
}

}  // namespace

Result<> copy_rows(int from, const MapForm& from_form, int to, const MapForm& to_form) {
  std::vector<std::byte> keys, values;
  Result<> done;
  auto flush = [&] {
    if (done && !keys.empty()) {
      done = update_batch(to, keys.data(), values.data(), static_cast<uint32_t>(keys.size() / to_form.key.size));
    }
    keys.clear();
    values.clear();
  };
  KEELSON_DO(for_each_row(from, from_form.key.size, from_form.value.size, [&](const void* key, const void* value) {
    auto in = static_cast<const std::byte*>(value);
    // Rows of arrays that were never used are zero there, too.
    if (is_zero(in, from_form.value.size)) {
      return;
    }
    size_t at_key = keys.size(), at_value = values.size();
    keys.resize(at_key + to_form.key.size);
    values.resize(at_value + to_form.value.size);
    convert(from_form.key, static_cast<const std::byte*>(key), to_form.key, keys.data() + at_key);
    convert(from_form.value, in, to_form.value, values.data() + at_value);
    if (keys.size() / to_form.key.size == kRowsAtOnce) {
      flush();
    }
  }));
  flush();
  return done;
}

Result<> copy_counters(int from, int to) {
  std::vector<uint64_t> each(libbpf_num_possible_cpus());
  for (uint32_t i = 0; bpf_map_lookup_elem(from, &i, each.data()) == 0; i++) {
    // Fewer counters here than there are known by none.
    if (bpf_map_update_elem(to, &i, each.data(), BPF_ANY) != 0) {
      break;
    }
  }
  return {};
}

Result<ConnectionMover> ConnectionMover::open(int transition, int moved, const Form& moved_form, int store) {
  KEELSON_TRY(auto phase, MappedArray<kl_transition>::map(transition, 1, "transition"));
  KEELSON_TRY(auto rows, MappedArray<kl_moved>::map(moved, KL_MOVED_ROWS, "moved"));
  return ConnectionMover(std::move(phase), std::move(rows), moved_form, store);
}

Result<> ConnectionMover::set_phase(kl_phase phase) {
  store<__u32>(transition_[0].phase, phase);
  return {};
}

Result<uint64_t> ConnectionMover::move(std::span<const Source> sources, const std::string& table) {
  stored_ = 0;
  for (nth_ = 0; nth_ < sources.size(); nth_++) {
    oldest_ = nth_ + 1 == sources.size();
    KEELSON_DO(move_from(sources[nth_], table));
  }
  return stored_;
}

Result<> ConnectionMover::move_from(const Source& source, const std::string& table) {
  auto form = source.layout.maps.find(table);
  Fd map = source.generation.map(table);
  if (form == source.layout.maps.end() || !map) {
    return {};
  }
  if (!form->second.bucket) {
    return fail(Kind::unsupported, "the rows of {} are not in buckets", table);
  }
  uint32_t size = form->second.value.size;
  auto& known = known_[{source.generation.number(), table}];
  std::vector<std::byte> buckets(size_t{kBucketsAtOnce} * size);
  std::vector<uint32_t> keys(kBucketsAtOnce);
  LIBBPF_OPTS(bpf_map_batch_opts, options, .elem_flags = form->second.has_lock ? BPF_F_LOCK : 0u);
  other_clock_ = source.layout.time_shift != KL_TIME_SHIFT;
  uint32_t position = 0, next = 0;
  for (bool first = true, last = false; !last; first = false) {
    uint32_t count = kBucketsAtOnce;
    if (bpf_map_lookup_batch(map.get(), first ? nullptr : &position, &next, keys.data(), buckets.data(), &count,
                             &options) != 0) {
      if (errno != ENOENT) {
        return fail_errno(errno, "read {}", table);
      }
      last = true;
    }
    position = next;
    for (uint32_t i = 0; i < count; i++) {
      const auto* bucket = buckets.data() + size_t{i} * size;
      if (keys[i] >= known.size()) {
        known.resize(keys[i] + kBucketsAtOnce, 0);
      }
      auto hash = hash_of(bucket, size);
      if (std::exchange(known[keys[i]], hash) != hash) {
        take(form->second, bucket);
        if (waiting_ + form->second.bucket->where.count > KL_MOVED_ROWS) {
          KEELSON_DO(flush());
        }
      }
    }
  }
  return flush();
}

// Odd: what the nth source made itself; even: what it had carried over, when it was killed, from one before, which has
// this row, too, maybe newer.
uint16_t ConnectionMover::sureness(uint16_t flags) const {
  size_t copy = flags >> KL_CT_COPY_SHIFT;
  size_t result = oldest_ || copy == 0 ? 2 * nth_ + 1 : 2 * (nth_ + 1 + (copy - 1) / 2) + 2;
  return static_cast<uint16_t>(std::min<size_t>(result, 0xffffu >> KL_CT_COPY_SHIFT));
}

void ConnectionMover::take(const MapForm& form, const std::byte* bucket) {
  const auto& [where, row_form] = *form.bucket;
  const auto* tag = form.value.find("tag");
  for (uint32_t way = 0; way < where.count; way++) {
    if (tag && is_zero(bucket + tag->offset + way * tag->size, tag->size)) {
      continue;
    }
    const auto* row = bucket + where.offset + way * where.size;
    if (read_number(row_form, row, "protocol") == 0) {
      continue;
    }
    auto& moved = moved_[waiting_];
    convert(row_form, row, moved_form_, reinterpret_cast<std::byte*>(&moved));
    moved.flags = static_cast<uint16_t>((moved.flags & ((1u << KL_CT_COPY_SHIFT) - 1)) | sureness(moved.flags)
                                                                                             << KL_CT_COPY_SHIFT);
    if (other_clock_) {
      moved.rest.seen = kl_time_now();
    }
    waiting_++;
  }
}

Result<> ConnectionMover::flush() {
  if (waiting_ == 0) {
    return {};
  }
  store(transition_[0].moved, waiting_);
  const char packet[64] = {};
  LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = sizeof packet);
  if (bpf_prog_test_run_opts(store_, &run) != 0) {
    return fail_errno(errno, "store connections");
  }
  for (uint32_t i = 0; i < waiting_; i++) {
    stored_ += moved_[i].result == KL_MOVED_STORED;
  }
  waiting_ = 0;
  return {};
}

Result<NatPorts> nat_ports(int config, const Form& form) {
  KEELSON_TRY(auto row, only_row(config, form));
  return NatPorts{static_cast<uint16_t>(read_number(form, row.data(), "nat_port_first")),
                  static_cast<uint16_t>(read_number(form, row.data(), "nat_port_count"))};
}

Result<> set_nat_ports(int config, const Form& form, NatPorts ports) {
  KEELSON_TRY(auto row, only_row(config, form));
  write_number(form, row.data(), "nat_port_first", ports.first);
  write_number(form, row.data(), "nat_port_count", ports.count);
  uint32_t key = 0;
  if (bpf_map_update_elem(config, &key, row.data(), BPF_ANY) != 0) {
    return fail_errno(errno, "write the configuration map");
  }
  return {};
}

}  // namespace keelson::ebpf
