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
#include "ebpf/programs.h"
#include "ebpf/testing.h"
#include "xdp_template.skel.h"

namespace keelson::bench {
namespace {

using dataplane::Protocol;

constexpr uint32_t kRepeat = 1'000'000;
constexpr int kRounds = 9;

struct Case {
  std::string name;
  uint32_t flows = 1;
  uint32_t services = 1;
  bool is_new = false;  // the table is emptied of its flows by choosing ports that were not seen before
  double goal = 0;      // net ns at most
};

struct Bench {
  ebpf::testing::SmallNet net;
  xdp_template* harness = xdp_template__open_and_load();
  std::optional<ebpf::Programs> programs;
  std::string pins = "/sys/fs/bpf/keelson-bench-" + std::to_string(getpid());
  int uplink = 0;

  ~Bench() {
    programs.reset();
    (void)ebpf::Programs::remove(pins);
    std::filesystem::remove(pins);
    xdp_template__destroy(harness);
  }
};

/// By exception, so that namespaces and pins go.
[[noreturn]] void die(const std::string& why) {
  throw std::runtime_error(why);
}

// A SYN's successor: an acknowledgement of 10.1.0.3:sport to 10.96.0.1:80.
void write_packet(unsigned char* p) {
  std::memset(p, 0, 64);
  p[12] = 8;
  p[14] = 0x45;
  p[17] = 50;
  p[22] = 64;
  p[23] = 6;
  const uint32_t from = htonl(0x0a010003), to = htonl(0x0a600001);
  std::memcpy(p + 26, &from, 4);
  std::memcpy(p + 30, &to, 4);
  p[34] = 0x20;
  p[37] = 80;
  p[46] = 0x50;
  p[47] = 0x10;
}

// Mean ns of one run of kRepeat packets. The last packet must have left as XDP_TX.
double run(Bench& bench, bpf_program* program, uint32_t repeat, bool changed) {
  unsigned char packet[64], out[128];
  write_packet(packet);
  xdp_md context{};
  context.data_end = sizeof packet;
  context.ingress_ifindex = static_cast<uint32_t>(bench.uplink);
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_out = out, .data_size_in = sizeof packet,
              .data_size_out = sizeof out, .ctx_in = &context, .ctx_size_in = sizeof context,
              .repeat = static_cast<int>(repeat));
  if (bpf_prog_test_run_opts(bpf_program__fd(program), &options) != 0) {
    die(fmt::format("test run: {}", strerror(errno)));
  }
  if (options.retval != XDP_TX || options.data_size_out != sizeof packet) {
    die(fmt::format("returned {}, {} bytes", options.retval, options.data_size_out));
  }
  uint32_t to;
  std::memcpy(&to, out + 30, 4);
  // Every backend is one of 10.3.0.0/15.
  if (changed && (ntohl(to) - 0x0a030000) >> 17 != 0) {
    die("the packet was not translated");
  }
  return options.duration;
}

void measure(Bench& bench, const Case& c) {
  auto* control = static_cast<bench_control*>(
      mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(bench.harness->maps.control), 0));
  write_packet(control->packet);
  control->count = 0;
  control->flows = c.flows;
  control->services = c.services;
  // Known flows are made known first; the routes are asked for again each second, at the cost of a packet each.
  const uint32_t population = std::max(c.flows, c.services);
  const uint32_t repeat = c.is_new ? population / (kRounds + 1) : std::max(kRepeat, population);
  if (!c.is_new) {
    run(bench, bench.harness->progs.measured, population * 2 + 1000, true);
  }
  std::vector<double> net, whole;
  for (int round = 0; round < kRounds; round++) {
    if (!c.is_new) {
      run(bench, bench.harness->progs.measured, std::min(population + 10, 2'000'000u), true);
    }
    double ours = run(bench, bench.harness->progs.measured, repeat, true);
    double base = run(bench, bench.harness->progs.baseline, repeat, false);
    if (c.is_new) {
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

void program_services(Bench& bench, uint32_t count) {
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
  }
  for (const auto& error : tables->adopt(model, std::chrono::steady_clock::now())) {
    die(error.message());
  }
}

/// Fresh programs and maps, with so many rows for connections.
template <class Cases>
void with_tables(Bench& bench, uint32_t connections, Cases cases) {
  ebpf::ProgramSizes sizes;
  sizes.services = sizes.backends = 1 << 17;
  sizes.connections4 = connections;
  auto programs = ebpf::Programs::load({bench.pins, sizes});
  if (!programs) {
    die(programs.error().message());
  }
  bench.programs.emplace(std::move(*programs));
  ebpf::NodeSettings settings;
  settings.masquerade4 = dataplane::Address::v4(0x0a010001);
  if (auto configured = bench.programs->configure(settings); !configured) {
    die(configured.error().message());
  }
  const int targets[] = {bench.programs->program("uplink_xdp"), bpf_program__fd(bench.harness->progs.nothing)};
  for (uint32_t i = 0; i < 2; i++) {
    bpf_map_update_elem(bpf_map__fd(bench.harness->maps.targets), &i, &targets[i], BPF_ANY);
  }
  fmt::print("connection table of {} rows\n", connections);
  cases();
  bench.programs.reset();
  (void)ebpf::Programs::remove(bench.pins);
}

int main_of() {
  if (auto reason = ebpf::testing::why_not(); !reason.empty()) {
    fmt::print("SKIP: xdp: {}\n", reason);
    return 0;
  }
  Bench bench;
  if (!bench.harness) {
    die("the harness does not load");
  }
  bench.net.in("node",
               "ip neighbour replace 10.1.0.2 lladdr 02:00:00:00:00:02 dev eth0 nud permanent; ip route replace "
               "10.3.0.0/16 via 10.1.0.2; ip route replace 10.4.0.0/16 via 10.1.0.2");
  auto inside = bench.net.enter("node");
  bench.uplink = bench.net.ifindex("node", "eth0");
  // The second table is larger than the machine's caches; the first is what a node has by default.
  with_tables(bench, 1 << 17, [&] {
    program_services(bench, 1);
    measure(bench, {"xdp_dnat_established", 1, 1, false, 110});
    measure(bench, {"xdp_dnat_established_10000_flows", 10'000});
    for (uint32_t services : {10u, 10'000u}) {
      program_services(bench, services);
      measure(bench, {fmt::format("xdp_dnat_random_of_{}_services", services), 1, services});
    }
  });
  // Few enough that the table stays half empty, and in the cache.
  with_tables(bench, 1 << 15, [&] {
    program_services(bench, 1);
    measure(bench, {"xdp_dnat_new_flow", 8'000, 1, true, 250});
  });
  with_tables(bench, 1 << 12, [&] {
    program_services(bench, 1);
    measure(bench, {"xdp_dnat_new_flow_in_a_full_table", 10'000'000, 1, true});
  });
  with_tables(bench, 1 << 22, [&] {
    program_services(bench, 1);
    measure(bench, {"xdp_dnat_established_1000000_flows", 1'000'000});
    measure(bench, {"xdp_dnat_new_flow_of_millions", 10'000'000, 1, true});
    for (uint32_t services : {10u, 100'000u}) {
      program_services(bench, services);
      measure(bench, {fmt::format("xdp_dnat_random_of_{}_services", services), 1, services});
    }
  });
  return 0;
}

}  // namespace
}  // namespace keelson::bench

int main() {
  try {
    return keelson::bench::main_of();
  } catch (const std::runtime_error& error) {
    fmt::print("xdp: {}\n", error.what());
    return 1;
  }
}
