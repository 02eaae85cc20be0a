// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/packet_world.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>

namespace keelson::fuzz {
namespace {

// So many that no two full ones come together: the model knows nothing of evictions.
constexpr uint32_t kBuckets = 1 << 14;
constexpr uint32_t kHashSeed = 0x9e3779b9;  // any: that a run's seed says all of it

Address at(const std::string& text) {
  return *Address::parse(text);
}

const char* program_of(Hook hook) {
  switch (hook) {
    case Hook::pod:
      return "pod_ingress";
    case Hook::uplink:
      return "uplink_ingress";
    case Hook::egress:
      return "node_egress";
    case Hook::xdp:
      return "uplink_xdp";
  }
  return "";
}

template <class T>
T must(Result<T> result) {
  if (!result) {
    throw std::runtime_error(result.error().message());
  }
  return std::move(*result);
}
void must(Result<> result) {
  if (!result) {
    throw std::runtime_error(result.error().message());
  }
}

void clear_map(int map, size_t key_size) {
  std::vector<char> key(key_size);
  while (bpf_map_get_next_key(map, nullptr, key.data()) == 0) {
    bpf_map_delete_elem(map, key.data());
  }
}

// A connection table as a whole. It cannot be mapped into memory: its buckets have locks.
template <class Bucket>
struct Buckets {
  std::vector<uint32_t> keys = std::vector<uint32_t>(kBuckets);
  std::vector<Bucket> rows = std::vector<Bucket>(kBuckets);

  void read(int map) {
    uint32_t many = kBuckets, next = 0;
    if (bpf_map_lookup_batch(map, nullptr, &next, keys.data(), rows.data(), &many, nullptr) != 0 && errno != ENOENT) {
      throw std::runtime_error(fmt::format("read a connection table: {}", strerror(errno)));
    }
  }
  void write(int map) {
    uint32_t many = kBuckets;
    for (uint32_t i = 0; i < kBuckets; i++) {
      keys[i] = i;
    }
    if (bpf_map_update_batch(map, keys.data(), rows.data(), &many, nullptr) != 0) {
      throw std::runtime_error(fmt::format("write a connection table: {}", strerror(errno)));
    }
  }
  void age() {
    for (auto& bucket : rows) {
      for (auto& row : bucket.row) {
        row.rest.seen -= 4000;  // kl_time: some 4 s
        row.rest.routed = static_cast<uint16_t>(row.rest.routed - 16);
      }
    }
  }
};

Address address_of(uint32_t v4) {
  return Address::v4(ntohl(v4));
}
Address address_of(const kl_addr& address) {
  return ebpf::from_kl(address);
}

template <class Bucket>
void collect(int map, std::vector<Flow>& flows) {
  Buckets<Bucket> table;
  table.read(map);
  for (const auto& bucket : table.rows) {
    for (int way = 0; way < KL_CT_WAYS; way++) {
      const auto& row = bucket.row[way];
      if (bucket.tag[way] != 0) {
        flows.push_back({address_of(row.src), address_of(row.dst), ntohs(row.sport), ntohs(row.dport), row.protocol});
      }
    }
  }
}

template <class Bucket>
void age_table(int map) {
  Buckets<Bucket> table;
  table.read(map);
  table.age();
  table.write(map);
}

}  // namespace

std::string to_string(Hook hook) {
  return program_of(hook);
}

dataplane::From sender(Hook hook) {
  return hook == Hook::pod      ? dataplane::From::pod
         : hook == Hook::egress ? dataplane::From::node
                                : dataplane::From::outside;
}

const Surroundings& surroundings() {
  static const Surroundings all = [] {
    Surroundings result{.node = {at("10.1.0.1"), at("fd01::1")},
                        .other_node = {at("10.1.0.2"), at("fd01::2")},
                        .clients = {{at("10.1.0.3"), at("10.2.0.1"), at("10.2.0.2"), at("10.1.0.1"), at("10.3.0.1"),
                                     at("192.0.2.7"), at("198.51.100.200")},
                                    {at("fd01::3"), at("fd02::1"), at("fd02::2"), at("fd01::1"), at("fd03::1"),
                                     at("2001:db8::7"), at("2001:db8:1:2:3:4:5:6")}}};
    return result;
  }();
  return all;
}

struct World::State {
  std::string pins;
  ebpf::testing::SmallNet net;
  NetnsGuard inside = net.enter("node");
  std::optional<ebpf::Programs> programs;
  std::optional<ebpf::Tables> tables;
  Buckets<kl_ct4_bucket> empty4;
  Buckets<kl_ct6_bucket> empty6;
  dataplane::Model model;
  ebpf::TimePoint now = ebpf::TimePoint(std::chrono::hours(1));
  uint32_t links[kHooks] = {};

  ~State() {
    tables.reset();
    programs.reset();
    (void)ebpf::Programs::remove(pins);
    std::error_code ignored;
    std::filesystem::remove(pins, ignored);
  }
};

World::World(const std::string& pins) : state_(std::make_unique<State>()) {
  auto& s = *state_;
  s.pins = pins;
  ebpf::testing::shell(R"(
set -e
for n in 10.1.0.2 10.1.0.3 fd01::2 fd01::3; do ip neighbour replace $n lladdr 02:00:00:00:01:02 dev eth0 nud permanent; done
ip route add 10.3.0.2 via 10.1.0.9; ip -6 route add fd03::2 via fd01::9
ip route add prohibit 10.4.0.1; ip -6 route add prohibit fd04::1)");
  s.programs.emplace(must(ebpf::Programs::load({.pin_folder = pins,
                                                .sizes = {.frontends = 1024,
                                                          .services = 256,
                                                          .slots = 1 << 18,
                                                          .backends = 1024,
                                                          .connections4 = kBuckets * KL_CT_WAYS,
                                                          .connections6 = kBuckets * KL_CT_WAYS},
                                                .hash_seed = kHashSeed})));
  ebpf::NodeSettings settings;
  settings.masquerade4 = surroundings().node[0];
  settings.masquerade6 = surroundings().node[1];
  settings.nodes = {surroundings().other_node[0], surroundings().other_node[1]};
  // The model knows nothing of time: no flow ends by it, however long the machine takes.
  constexpr auto kLong = std::chrono::hours(24);
  settings.times = {
      .tcp_opening = kLong, .tcp_established = kLong, .tcp_closing = kLong, .udp = kLong, .udp_stream = kLong};
  must(s.programs->configure(settings));
  for (const char* link : {"p1", "p2"}) {
    must(s.programs->attach_link(s.net.ifindex("node", link), ebpf::LinkKind::pod, false));
  }
  must(s.programs->attach_link(s.net.ifindex("node", "eth0"), ebpf::LinkKind::uplink, true));
  for (auto hook : {Hook::pod, Hook::uplink, Hook::egress, Hook::xdp}) {
    s.links[static_cast<size_t>(hook)] =
        static_cast<uint32_t>(s.net.ifindex("node", hook == Hook::pod ? "p1" : "eth0"));
  }
  s.tables.emplace(must(ebpf::Tables::open(s.programs->table_maps())));
}

World::~World() = default;

void World::set_model(const dataplane::Model& model) {
  auto& s = *state_;
  s.now += std::chrono::seconds(2);
  auto errors = s.tables->apply(dataplane::delta(s.model, model), s.now);
  if (!errors.empty()) {
    throw std::runtime_error(errors[0].message());
  }
  s.model = model;
}

Outcome World::run(Hook hook, const Frame& frame) {
  Outcome outcome;
  outcome.frame.resize(frame.size() + 256);
  __sk_buff skb{};
  skb.ifindex = state_->links[static_cast<size_t>(hook)];
  xdp_md xdp{};
  xdp.data_end = static_cast<uint32_t>(frame.size());
  xdp.ingress_ifindex = skb.ifindex;
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(), .data_out = outcome.frame.data(),
              .data_size_in = static_cast<uint32_t>(frame.size()),
              .data_size_out = static_cast<uint32_t>(outcome.frame.size()), .repeat = 1);
  options.ctx_in = hook == Hook::xdp ? static_cast<void*>(&xdp) : &skb;
  options.ctx_size_in = hook == Hook::xdp ? sizeof xdp : sizeof skb;
  if (bpf_prog_test_run_opts(state_->programs->program(program_of(hook)), &options) != 0) {
    outcome.code = errno;
    outcome.verdict = errno == EINVAL ? Verdict::refused : Verdict::fault;
    return outcome;
  }
  outcome.frame.resize(options.data_size_out);
  outcome.code = static_cast<int>(options.retval);
  if (hook == Hook::xdp) {
    outcome.verdict = outcome.code == XDP_PASS   ? Verdict::pass
                      : outcome.code == XDP_DROP ? Verdict::drop
                      : outcome.code == XDP_TX   ? Verdict::forward
                                                 : Verdict::fault;
  } else {
    outcome.verdict = outcome.code == -1  ? Verdict::pass
                      : outcome.code == 2 ? Verdict::drop
                      : outcome.code == 7 ? Verdict::forward
                                          : Verdict::fault;
  }
  return outcome;
}

void World::forget() {
  auto& s = *state_;
  s.empty4.write(s.programs->map("connections4"));
  s.empty6.write(s.programs->map("connections6"));
  clear_map(s.programs->map("affinity"), sizeof(kl_affinity_key));
  clear_map(s.programs->map("fragments"), sizeof(kl_fragment_key));
}

void World::age() {
  age_table<kl_ct4_bucket>(state_->programs->map("connections4"));
  age_table<kl_ct6_bucket>(state_->programs->map("connections6"));
}

std::vector<Flow> World::flows() const {
  std::vector<Flow> flows;
  collect<kl_ct4_bucket>(state_->programs->map("connections4"), flows);
  collect<kl_ct6_bucket>(state_->programs->map("connections6"), flows);
  return flows;
}

std::vector<uint64_t> World::counters() const {
  return must(state_->programs->counters());
}

}  // namespace keelson::fuzz
