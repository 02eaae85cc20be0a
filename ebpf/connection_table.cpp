// SPDX-License-Identifier: Apache-2.0
// Only this file and the programs know what a row looks like.
#include "ebpf/connection_table.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fcntl.h>
#include <time.h>

#include <cstring>

namespace keelson::ebpf {
namespace {

constexpr uint32_t kBucketsAtOnce = 1024;
Result<Fd> own(int descriptor) {
  Fd copy(fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
  if (!copy) {
    return fail_errno(errno, "the table of connections");
  }
  return copy;
}

dataplane::Address address_of(const kl_addr& address) {
  return from_kl(address);
}
dataplane::Address address_of(__be32 address) {
  return from_kl(kl_mapped(address));
}

uint32_t time_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  auto ns = static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
  return static_cast<uint32_t>(ns >> KL_TIME_SHIFT);
}

Duration duration_of(uint32_t kl_time) {
  return Duration(static_cast<int64_t>(kl_time) << KL_TIME_SHIFT);
}

ConnectionState state_of(uint8_t protocol, uint8_t state) {
  if (protocol != static_cast<uint8_t>(dataplane::Protocol::tcp)) {
    return ConnectionState::active;
  }
  return state == KL_CT_ESTABLISHED ? ConnectionState::established
         : state == KL_CT_CLOSING   ? ConnectionState::closing
                                    : ConnectionState::opening;
}

kl_flow flow_of(dataplane::Protocol protocol, const SocketAddress& from, const SocketAddress& to) {
  kl_flow flow{};
  flow.src = to_kl(from.address);
  flow.dst = to_kl(to.address);
  flow.sport = htons(from.port);
  flow.dport = htons(to.port);
  flow.protocol = static_cast<uint8_t>(protocol);
  return flow;
}

template <class Row>
Connection connection_of(const Row& row, uint32_t idle, uint32_t lifetime) {
  Connection result{.protocol = static_cast<dataplane::Protocol>(row.protocol)};
  result.reply = row.flags & KL_CT_REPLY;
  result.masqueraded = row.flags & KL_CT_MASQUERADED;
  result.tunnelled = row.flags & KL_CT_TUNNEL;
  SocketAddress src{address_of(row.src), ntohs(row.sport)}, dst{address_of(row.dst), ntohs(row.dport)};
  SocketAddress to_src{address_of(row.to_src), ntohs(row.to_sport)},
      to_dst{address_of(row.to_dst), ntohs(row.to_dport)};
  if (result.reply) {
    result.backend = src;
    result.source = dst;
    result.frontend = to_src;
    result.client = to_dst;
  } else {
    result.client = src;
    result.frontend = dst;
    result.backend = to_dst;
    result.source = result.tunnelled ? src : to_src;
  }
  result.state = state_of(row.protocol, row.state);
  result.service = row.rest.service;
  result.idle = duration_of(idle);
  result.left = duration_of(lifetime - idle);
  return result;
}

}  // namespace

std::string SocketAddress::to_string() const {
  return address.is_v4() ? fmt::format("{}:{}", address.to_string(), port)
                         : fmt::format("[{}]:{}", address.to_string(), port);
}

std::string_view to_string(ConnectionState state) {
  constexpr std::string_view kNames[] = {"OPENING", "ESTABLISHED", "CLOSING", "ACTIVE"};
  return kNames[static_cast<size_t>(state)];
}

Result<ConnectionTable> ConnectionTable::open(const Programs& programs) {
  ConnectionTable table;
  KEELSON_TRY(table.forget_, own(programs.program("forget_flow")));
  KEELSON_TRY(table.keep_, own(programs.program("keep_flow")));
  for (size_t i = 0; i < 2; i++) {
    auto& family = table.families_[i];
    KEELSON_TRY(family.map, own(programs.map(i ? "connections6" : "connections4")));
    bpf_map_info info{};
    uint32_t size = sizeof info;
    if (bpf_obj_get_info_by_fd(family.map.get(), &info, &size) != 0) {
      return fail_errno(errno, "the table of connections");
    }
    family.buckets = info.max_entries;
  }
  uint32_t row = 0;
  if (bpf_map_lookup_elem(programs.map("config"), &row, &table.config_) != 0) {
    return fail_errno(errno, "the programs' configuration");
  }
  return table;
}

uint64_t ConnectionTable::rows() const {
  return uint64_t{KL_CT_WAYS} * (families_[0].buckets + families_[1].buckets);
}

template <class Bucket>
Result<bool> ConnectionTable::read_family(Position& position, std::vector<Connection>& rows) const {
  const auto& family = families_[position.family];
  std::vector<uint32_t> keys(kBucketsAtOnce);
  std::vector<Bucket> buckets(kBucketsAtOnce);
  uint32_t count = kBucketsAtOnce, next = 0;
  LIBBPF_OPTS(bpf_map_batch_opts, options, .elem_flags = BPF_F_LOCK);
  int failed = bpf_map_lookup_batch(family.map.get(), position.started ? &position.bucket : nullptr, &next, keys.data(),
                                    buckets.data(), &count, &options);
  if (failed && errno != ENOENT) {
    return fail_errno(errno, "read the table of connections");
  }
  uint32_t now = time_now();
  for (uint32_t i = 0; i < count; i++) {
    for (int way = 0; way < KL_CT_WAYS; way++) {
      const auto& row = buckets[i].row[way];
      if (buckets[i].tag[way] == 0) {
        continue;
      }
      // Seen by another CPU in the meantime: now.
      uint32_t idle = static_cast<int32_t>(now - row.rest.seen) < 0 ? 0 : now - row.rest.seen;
      uint32_t lifetime = config_.timeout[row.protocol == IPPROTO_TCP][row.state & 3];
      if (idle <= lifetime) {
        rows.push_back(connection_of(row, idle, lifetime));
      }
    }
  }
  position.started = !failed;
  position.bucket = next;
  position.family += failed ? 1 : 0;
  return position.family < families_.size();
}

Result<bool> ConnectionTable::read(Position& position, std::vector<Connection>& rows) const {
  if (position.family >= families_.size()) {
    return false;
  }
  return position.family == 0 ? read_family<kl_ct4_bucket>(position, rows) : read_family<kl_ct6_bucket>(position, rows);
}

Result<bool> ConnectionTable::forget_row(const Connection& connection, bool reply) const {
  const auto& from = reply ? connection.backend : connection.client;
  const auto& to = reply ? connection.source : connection.frontend;
  return run(forget_, flow_of(connection.protocol, from, to), 0);
}

Result<bool> ConnectionTable::run(const Fd& program, const kl_flow& flow, uint8_t state) {
  char packet[KL_FLOW_AT + sizeof flow + sizeof state] = {};
  std::memcpy(packet + KL_FLOW_AT, &flow, sizeof flow);
  std::memcpy(packet + KL_FLOW_AT + sizeof flow, &state, sizeof state);
  LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = sizeof packet, .repeat = 1);
  if (bpf_prog_test_run_opts(program.get(), &run) != 0) {
    return fail_errno(errno, "change the table of connections");
  }
  return run.retval != 0;
}

Result<bool> ConnectionTable::keep_port(dataplane::Protocol protocol, const SocketAddress& endpoint,
                                        const SocketAddress& node, ConnectionState state) const {
  const uint8_t kStates[] = {KL_CT_NEW, KL_CT_ESTABLISHED, KL_CT_CLOSING, KL_CT_ESTABLISHED};
  return run(keep_, flow_of(protocol, endpoint, node), kStates[static_cast<size_t>(state)]);
}

Result<size_t> ConnectionTable::forget(std::span<const Connection> connections) const {
  size_t forgotten = 0;
  for (const auto& connection : connections) {
    for (bool reply : {false, true}) {
      KEELSON_TRY(bool found, forget_row(connection, reply));
      forgotten += found ? 1 : 0;
    }
  }
  return forgotten;
}

std::optional<SocketAddress> affine_endpoint(const Programs& programs, uint32_t service,
                                             const dataplane::Address& client, Duration time) {
  kl_affinity_key key{.client = to_kl(client), .service = service, .zero = 0};
  kl_affinity known{};
  if (bpf_map_lookup_elem(programs.map("affinity"), &key, &known) != 0 || duration_of(time_now() - known.seen) > time) {
    return std::nullopt;
  }
  uint32_t row = KL_BACKEND_ROW(known.backend);
  kl_backend backend{};
  if (bpf_map_lookup_elem(programs.map("backends"), &row, &backend) != 0 || backend.name != known.backend) {
    return std::nullopt;
  }
  return SocketAddress{from_kl(backend.address), ntohs(backend.port)};
}

}  // namespace keelson::ebpf
