// SPDX-License-Identifier: Apache-2.0
// From Service and EndpointSlice objects in memory to the kernel's tables: all of them at start, and one change.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>

#include "bench/report.h"
#include "dataplane/translate/translate.h"
#include "ebpf/programs.h"
#include "ebpf/testing.h"

namespace keelson::bench {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

std::string resident_mib() {
  long pages = 0, resident = 0;
  if (FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%ld %ld", &pages, &resident) != 2) {
      resident = 0;
    }
    std::fclose(file);
  }
  return fmt::format("{:.0f} MiB", static_cast<double>(resident * sysconf(_SC_PAGESIZE)) / 1048576);
}

dataplane::ServiceObjects objects(uint32_t count) {
  dataplane::ServiceObjects all;
  for (uint32_t i = 0; i < count; i++) {
    kube::Service service;
    service.metadata.name = fmt::format("s{:06}", i);
    service.metadata.ns = "bench";
    service.cluster_ip = dataplane::Address::v4(0x0a600001 + i).to_string();
    service.cluster_ips = {service.cluster_ip};
    service.ports.push_back({.port = 80});
    kube::EndpointSlice slice;
    slice.metadata = {.name = service.metadata.name + "-1", .ns = "bench"};
    slice.metadata.labels[std::string(kube::kServiceNameLabel)] = service.metadata.name;
    slice.ports.push_back({.port = 8080});
    for (uint32_t j = 0; j < 2; j++) {
      slice.endpoints.push_back(
          {.addresses = {dataplane::Address::v4(0x0b000000 + 2 * i + j).to_string()}, .node_name = "other"});
    }
    all.slices["bench/" + slice.metadata.name] = slice;
    all.services["bench/" + service.metadata.name] = service;
  }
  return all;
}

void measure(uint32_t count) {
  const auto pins = fmt::format("/sys/fs/bpf/keelson-bench-{}", getpid());
  auto programs = ebpf::Programs::load({.pin_folder = pins, .sizes = {.slots = 1 << 18, .backends = 1 << 18}});
  if (!programs) {
    fmt::print("sync: {}\n", programs.error().message());
    return;
  }
  auto tables = ebpf::Tables::open(programs->table_maps());
  auto all = objects(count);
  dataplane::TranslateOptions options{.node_name = "here"};
  auto start = Clock::now();
  auto model = dataplane::translate(all, options);
  double translated = ms_since(start);
  start = Clock::now();
  for (const auto& error : tables->adopt(model, start)) {
    fmt::print("sync: {}\n", error.message());
  }
  double written = ms_since(start);

  std::vector<double> changes;
  for (uint32_t i = 0; i < 2000; i++) {
    auto name = fmt::format("bench/s{:06}", i * 7919 % count);
    auto& slice = all.slices.at(name + "-1");
    slice.endpoints[0].addresses = {dataplane::Address::v4(0x0c000000 + i).to_string()};
    start = Clock::now();
    dataplane::Delta change{.changed = dataplane::translate(all.services.at(name), {&slice}, options), .removed = {}};
    if (!tables->apply(change, start).empty()) {
      fmt::print("sync: a change failed\n");
    }
    changes.push_back(ms_since(start) * 1000);
  }
  fmt::print(
      "{:>7} services: translate {:.0f} ms, write {:.0f} ms, one endpoint p50 {:.1f} us p99 {:.1f} us, resident with "
      "the objects {}\n",
      count, translated, written, quantile(changes, 0.5), quantile(changes, 0.99), resident_mib());
  std::fflush(stdout);
  (void)ebpf::Programs::remove(pins);
  std::filesystem::remove(pins);
}

}  // namespace
}  // namespace keelson::bench

int main() {
  if (auto reason = keelson::ebpf::testing::why_not(); !reason.empty()) {
    fmt::print("SKIP: sync: {}\n", reason);
    return 0;
  }
  for (uint32_t count : {1'000u, 10'000u, 50'000u}) {
    keelson::bench::measure(count);
  }
}
