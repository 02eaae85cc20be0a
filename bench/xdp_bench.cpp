// SPDX-License-Identifier: Apache-2.0
// Nanoseconds a packet costs in the XDP program of services: BPF_PROG_TEST_RUN, the same harness with an empty program
// taken off, medians of interleaved rounds.
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "bench/report.h"
#include "bench/xdp_template.h"
#include "dataplane/packet/geneve.h"
#include "ebpf/growth.h"
#include "ebpf/programs.h"
#include "ebpf/testing.h"
#include "xdp_template.skel.h"

namespace keelson::bench {
namespace {

using dataplane::Protocol;

constexpr uint32_t kRepeat = 1'000'000;
constexpr int kRounds = 9;

enum class Flows {
  known,
  unseen,    // each packet has ports that were not seen before
  forgotten  // one flow, whose rows are taken out of the table before each packet
};

struct Case {
  std::string name;
  uint32_t flows = 1;
  uint32_t services = 1;
  Flows kind = Flows::known;
  double goal = 0;  // net ns at most
  bool v6 = false;
  bool wrapped = false;
};

struct Bench {
  ebpf::testing::SmallNet net;
  xdp_template* harness = nullptr;
  std::optional<ebpf::Programs> programs;
  std::string pins = "/sys/fs/bpf/keelson-bench-" + std::to_string(getpid());
  int uplink = 0;
  std::string filter;  // cases whose names have it in them

  ~Bench() {
    programs.reset();
    (void)ebpf::Programs::remove(pins);
    std::filesystem::remove(pins);
    if (harness) {
      xdp_template__destroy(harness);
    }
  }
};

/// By exception, so that namespaces and pins go.
[[noreturn]] void die(const std::string& why) {
  throw std::runtime_error(why);
}

// An acknowledgement of 10.1.0.3:sport to 10.96.0.1:80, or of fd01::3 to fd96::1.
void write_packet(unsigned char* p, bool v6, bool opens) {
  std::memset(p, 0, PACKET6);
  unsigned char* tcp = p + (v6 ? 54 : 34);
  if (v6) {
    p[12] = 0x86;
    p[13] = 0xdd;
    p[14] = 0x60;
    p[19] = 20;
    p[20] = 6;
    p[21] = 64;
    inet_pton(AF_INET6, "fd01::3", p + 22);
    inet_pton(AF_INET6, "fd96::1", p + 38);
  } else {
    p[12] = 8;
    p[14] = 0x45;
    p[17] = 50;
    p[22] = 64;
    p[23] = 6;
    inet_pton(AF_INET, "10.1.0.3", p + 26);
    inet_pton(AF_INET, "10.96.0.1", p + 30);
  }
  tcp[0] = 0x20;
  tcp[3] = 80;
  tcp[12] = 0x50;
  tcp[13] = opens ? 0x02 : 0x10;
}

// Mean ns of one run. The last packet must have left as XDP_TX.
double run(Bench& bench, const Case& c, bpf_program* program, uint32_t repeat, bool changed) {
  unsigned char packet[PACKET6], out[256];
  write_packet(packet, c.v6, false);
  const uint32_t size = c.v6 ? PACKET6 : PACKET4;
  xdp_md context{};
  context.data_end = size;
  context.ingress_ifindex = static_cast<uint32_t>(bench.uplink);
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_out = out, .data_size_in = size,
              .data_size_out = sizeof out, .ctx_in = &context, .ctx_size_in = sizeof context,
              .repeat = static_cast<int>(repeat));
  if (bpf_prog_test_run_opts(bpf_program__fd(program), &options) != 0) {
    die(fmt::format("test run: {}", strerror(errno)));
  }
  const uint32_t room = changed && c.wrapped ? static_cast<uint32_t>(KL_OUTER(c.v6)) : 0;
  if (options.retval != XDP_TX || options.data_size_out != size + room) {
    die(fmt::format("{} returned {}, {} bytes", c.name, options.retval, options.data_size_out));
  }
  // Every backend is one of 10.3.0.0/15 or of fd03::/64.
  if (room != 0 && out[c.v6 ? 20 : 23] != IPPROTO_UDP) {
    die("the packet was not wrapped");
  }
  if (changed && room == 0 && (c.v6 ? out[39] != 3 : out[31] != 3 && out[31] != 4)) {
    die("the packet was not translated");
  }
  return options.duration;
}

/// The buckets in which the rows of the only flow are.
void find_rows(Bench& bench, const Case& c, bench_control& control) {
  int map = bench.programs->map(c.v6 ? "connections6" : "connections4");
  bpf_map_info info{};
  uint32_t size = sizeof info, found = 0;
  if (bpf_obj_get_info_by_fd(map, &info, &size) != 0) {
    die("the connection table");
  }
  std::vector<unsigned char> bucket(info.value_size);
  for (uint32_t i = 0; i < info.max_entries; i++) {
    if (bpf_map_lookup_elem(map, &i, bucket.data()) != 0) {
      die("the connection table's rows");
    }
    const auto* tags = bucket.data() + offsetof(kl_ct4_bucket, tag);
    bool used = std::any_of(tags, tags + sizeof kl_ct4_bucket::tag, [](unsigned char byte) { return byte != 0; });
    if (used && found < 2) {
      control.buckets[found++] = i;
    }
  }
  if (found == 0) {
    die("the flow has no rows");
  }
  control.forget = found;
  control.buckets[1] = found == 2 ? control.buckets[1] : control.buckets[0];
}

void measure(Bench& bench, const Case& c) {
  if (c.name.find(bench.filter) == c.name.npos) {
    return;
  }
  auto* control = static_cast<bench_control*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(bench.harness->maps.control), 0));
  write_packet(control->packet, c.v6, c.kind != Flows::known);
  control->count = 0;
  control->flows = c.flows;
  control->services = c.services;
  control->v6 = c.v6;
  control->wrapped = c.wrapped;
  control->forget = 0;
  // Known flows are made known first; the routes are asked for again each second, at the cost of a packet each.
  const uint32_t population = std::max(c.flows, c.services);
  const bool unseen = c.kind == Flows::unseen;
  const uint32_t repeat = unseen ? population / (kRounds + 1) : std::max(kRepeat, population);
  auto* measured = bench.harness->progs.measured;
  if (!unseen) {
    run(bench, c, measured, c.kind == Flows::known ? population * 2 + 1000 : 10, true);
  }
  if (c.kind == Flows::forgotten) {
    find_rows(bench, c, *control);
  }
  std::vector<double> net, whole;
  for (int round = 0; round < kRounds; round++) {
    if (c.kind == Flows::known) {
      run(bench, c, measured, std::min(population + 10, 2'000'000u), true);
    }
    double ours = run(bench, c, measured, repeat, true);
    double base = run(bench, c, bench.harness->progs.baseline, repeat, false);
    if (unseen) {
      control->count -= repeat;
    }
    net.push_back(ours - base);
    whole.push_back(ours);
  }
  munmap(control, 4096);
  double result = median(net);
  fmt::print("{:<34} net_ns={:<6.0f} whole={:<6.0f} {}\n", c.name, result, median(whole),
             c.goal == 0 ? "" : fmt::format("goal {:.0f}{}", c.goal, result > c.goal ? " missed" : ""));
  std::fflush(stdout);
}

void program_services(Bench& bench, uint32_t count, bool wrapped = false) {
  auto tables = ebpf::Tables::open(bench.programs->table_maps());
  if (!tables) {
    die(tables.error().message());
  }
  dataplane::Model model;
  for (uint32_t i = 0; i < count; i++) {
    auto service =
        ebpf::testing::service(Protocol::tcp, "10.96.0.1", {dataplane::Address::v4(0x0a030001 + i).to_string()});
    service.frontends[0].address = dataplane::Address::v4(0x0a600001 + i);
    model.services[{fmt::format("bench/s{:06}", i)}] = service;
    if (i < 10) {
      model.services[{fmt::format("bench/s{:06}", i), dataplane::Family::ipv6}] =
          ebpf::testing::service(Protocol::tcp, fmt::format("fd96::{:x}", i + 1), {fmt::format("fd03::{:x}", i + 1)});
    }
  }
  for (auto& [key, service] : model.services) {
    service.forwarding = wrapped ? dataplane::Forwarding::dsr : dataplane::Forwarding::snat;
    service.frontends[0].uses.fill({dataplane::Verdict::cluster, wrapped});
    service.backends[0].node =
        *dataplane::Address::parse(key.family == dataplane::Family::ipv4 ? "10.1.0.2" : "fd01::2");
  }
  for (const auto& error : tables->adopt(model, std::chrono::steady_clock::now())) {
    die(error.message());
  }
}

/// With the connection table of that family.
void load_harness(Bench& bench, bool v6) {
  if (bench.harness) {
    xdp_template__destroy(bench.harness);
  }
  bench.harness = xdp_template__open();
  if (!bench.harness ||
      bpf_map__reuse_fd(bench.harness->maps.connections, bench.programs->map(v6 ? "connections6" : "connections4")) !=
          0 ||
      xdp_template__load(bench.harness) != 0) {
    die("the harness does not load");
  }
  const int targets[] = {bench.programs->program("uplink_xdp"), bpf_program__fd(bench.harness->progs.nothing)};
  for (uint32_t i = 0; i < 2; i++) {
    bpf_map_update_elem(bpf_map__fd(bench.harness->maps.targets), &i, &targets[i], BPF_ANY);
  }
}

/// Rows that a node's connection table has once it has grown to hold so many flows.
uint32_t rows_for(uint32_t flows) {
  uint64_t rows = ebpf::ProgramSizes().connections4, before = 0;
  while (rows != before) {
    before = rows;
    rows = ebpf::connection_rows(uint64_t{2} * flows, rows);
  }
  return static_cast<uint32_t>(rows);
}

/// Fresh programs and maps, with so many rows for connections.
template <class Cases>
void with_tables(Bench& bench, uint32_t connections, bool v6, Cases cases) {
  ebpf::ProgramSizes sizes;
  sizes.services = sizes.backends = 1 << 17;
  sizes.connections4 = connections;
  sizes.connections6 = std::min(connections, 1u << 18);
  auto programs = ebpf::Programs::load({.pin_folder = bench.pins, .sizes = sizes});
  if (!programs) {
    die(programs.error().message());
  }
  bench.programs.emplace(std::move(*programs));
  ebpf::NodeSettings settings;
  settings.masquerade4 = *dataplane::Address::parse("10.1.0.1");
  settings.masquerade6 = *dataplane::Address::parse("fd01::1");
  if (auto configured = bench.programs->configure(settings); !configured) {
    die(configured.error().message());
  }
  load_harness(bench, v6);
  fmt::print("connection table of {} rows\n", connections);
  cases();
  bench.programs.reset();
  (void)ebpf::Programs::remove(bench.pins);
}

/// Of the programs: what the verifier had to look at, of at most 1,000,000.
void print_sizes(Bench& bench) {
  with_tables(bench, 1 << 10, false, [&] {
    for (const char* name : {"uplink_xdp", "uplink_ingress", "pod_ingress", "node_egress", "connect4", "sendmsg6"}) {
      bpf_prog_info info{};
      uint32_t size = sizeof info;
      if (bpf_obj_get_info_by_fd(bench.programs->program(name), &info, &size) != 0) {
        die(name);
      }
      fmt::print("{:<34} verified_insns={} translated={} bytes\n", name, info.verified_insns, info.xlated_prog_len);
    }
  });
}

int main_of(const std::string& filter) {
  if (auto reason = ebpf::testing::why_not(); !reason.empty()) {
    fmt::print("SKIP: xdp: {}\n", reason);
    return 0;
  }
  Bench bench{.filter = filter};
  bench.net.in(
      "node",
      "ip neighbour replace 10.1.0.2 lladdr 02:00:00:00:00:02 dev eth0 nud permanent; ip route replace "
      "10.3.0.0/16 via 10.1.0.2; ip route replace 10.4.0.0/16 via 10.1.0.2; ip neighbour replace fd01::2 lladdr "
      "02:00:00:00:00:02 dev eth0 nud permanent; ip -6 route replace fd03::/64 via fd01::2");
  auto inside = bench.net.enter("node");
  bench.uplink = bench.net.ifindex("node", "eth0");
  print_sizes(bench);
  with_tables(bench, rows_for(10'000), false, [&] {
    program_services(bench, 1);
    measure(bench, {"xdp_dnat_new_flow", 1, 1, Flows::forgotten, 250});
    measure(bench, {"xdp_dnat_established", 1, 1, Flows::known, 110});
    measure(bench, {"xdp_dnat_established_10000_flows", 10'000});
    for (uint32_t services : {10u, 10'000u}) {
      program_services(bench, services);
      measure(bench, {fmt::format("xdp_dnat_random_of_{}_services", services), 1, services, Flows::known, 1.2 * 110});
    }
  });
  with_tables(bench, rows_for(10'000), true, [&] {
    program_services(bench, 1);
    measure(bench, {"xdp_dnat_new_flow_ipv6", 1, 1, Flows::forgotten, 0, true});
    measure(bench, {"xdp_dnat_established_ipv6", 1, 1, Flows::known, 0, true});
    measure(bench, {"xdp_dnat_established_10000_flows_ipv6", 10'000, 1, Flows::known, 0, true});
  });
  with_tables(bench, rows_for(10'000), true, [&] {
    program_services(bench, 1, true);
    measure(bench, {"xdp_encap_established_ipv6", 1, 1, Flows::known, 0, true, true});
  });
  with_tables(bench, rows_for(10'000), false, [&] {
    program_services(bench, 1, true);
    measure(bench, {"xdp_encap_new_flow", 1, 1, Flows::forgotten, 0, false, true});
    measure(bench, {"xdp_encap_established", 1, 1, Flows::known, 140, false, true});
    measure(bench, {"xdp_encap_established_10000_flows", 10'000, 1, Flows::known, 0, false, true});
  });
  // Few enough that the table stays half empty, and in the cache.
  with_tables(bench, 1 << 15, false, [&] {
    program_services(bench, 1);
    measure(bench, {"xdp_dnat_new_flow_in_a_half_empty_table", 8'000, 1, Flows::unseen});
  });
  with_tables(bench, 1 << 12, false, [&] {
    program_services(bench, 1);
    measure(bench, {"xdp_dnat_new_flow_in_a_full_table", 10'000'000, 1, Flows::unseen});
  });
  with_tables(bench, rows_for(100'000), false, [&] {
    for (uint32_t services : {10u, 100'000u}) {
      program_services(bench, services);
      measure(bench, {fmt::format("xdp_dnat_random_of_{}_services", services), 1, services, Flows::known, 2.5 * 110});
    }
  });
  // Larger than the machine's caches.
  with_tables(bench, rows_for(1'000'000), false, [&] {
    program_services(bench, 1);
    measure(bench, {"xdp_dnat_established_1000000_flows", 1'000'000});
    measure(bench, {"xdp_dnat_new_flow_of_millions", 10'000'000, 1, Flows::unseen});
  });
  return 0;
}

}  // namespace
}  // namespace keelson::bench

int main(int count, char** arguments) {
  try {
    return keelson::bench::main_of(count > 1 ? arguments[1] : "");
  } catch (const std::runtime_error& error) {
    fmt::print("xdp: {}\n", error.what());
    return 1;
  }
}
