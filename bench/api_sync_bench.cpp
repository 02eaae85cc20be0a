// SPDX-License-Identifier: Apache-2.0
// From an API server to the kernel's tables through all of the role network: the first lists, then one endpoint that
// moves; and what the daemon takes in memory.
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "bench/api_server.h"
#include "bench/report.h"
#include "common/log.h"
#include "common/task_group.h"
#include "ebpf/testing.h"
#include "network/router.h"
#include "tests/support/process.h"

namespace keelson::bench {
namespace {

namespace fs = std::filesystem;
constexpr int kChanges = 1000;

double ms(Duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

/// The role's parts on a loop of this process, so that the moment of the last row written is known exactly.
class Measured {
 public:
  explicit Measured(uint32_t count) : count_(count), server_(count) {
    home_ = fs::temp_directory_path() / fmt::format("keelson-bench-{}-{}", ::getpid(), count);
    fs::create_directories(home_);
    // Of nobody: no process of this machine shall meet these services.
    cgroup_ = fs::path(ebpf::cgroup2_root().value()) / home_.filename();
    fs::create_directories(cgroup_);
    std::ofstream(home_ / "kubeconfig") << server_.kubeconfig();
  }
  ~Measured() {
    (void)ebpf::Programs::remove(pins());
    fs::remove(pins());
    fs::remove(cgroup_);
    fs::remove_all(home_);
  }

  Result<> run() {
    auto started = real_clock().steady();
    KEELSON_TRY(auto router,
                network::Router::open(loop_, {.node_name = "here", .bpf_dir = pins(), .socket_cgroup = cgroup_}));
    network::ApiSourceOptions options{
        .kubeconfig = home_ / "kubeconfig", .node_name = "here", .servers_file = home_ / "servers"};
    KEELSON_TRY(auto source, network::api_source(loop_, options));
    router->on_sync(
        [this](const network::SyncReport&) { synced_.store(real_clock().steady().time_since_epoch().count()); });
    TaskGroup tasks(loop_);
    tasks.spawn("source", source->run([&](network::ObjectBatch batch) { router->take(std::move(batch)); }));
    std::jthread thread([this] { loop_.run(); });
    auto cold = wait_after(0);
    fmt::print("{:>7} services: start to routed {:.0f} ms; lists sent to routed {:.0f} ms", count_, ms(cold - started),
               ms(cold - server_.lists_sent()));
    std::vector<double> changes;
    for (int i = 0; i < kChanges; i++) {
      auto before = synced_.load();
      auto sent = server_.change(static_cast<uint32_t>(i) * 7919 % count_);
      changes.push_back(ms(wait_after(before) - sent));
    }
    fmt::print("; one endpoint, event to map: p50 {:.2f} ms p99 {:.2f} ms max {:.2f} ms\n", quantile(changes, 0.5),
               quantile(changes, 0.99), quantile(changes, 1));
    std::fflush(stdout);
    loop_.post([&] { stopping_.spawn("stop", end(&tasks)); });
    thread.join();
    return {};
  }

 private:
  Task<> end(TaskGroup* tasks) {
    KEELSON_CO_DO(co_await tasks->close());
    loop_.stop();
    co_return Result<>();
  }
  std::string pins() const { return fmt::format("/sys/fs/bpf/keelson-bench-{}", ::getpid()); }
  SteadyTime wait_after(int64_t before) {
    for (int i = 0; i < 2'000'000 && synced_.load() == before; i++) {
      ::usleep(20);
    }
    return SteadyTime(Duration(synced_.load()));
  }

  uint32_t count_;
  ApiServer server_;
  fs::path home_, cgroup_;
  std::atomic<int64_t> synced_{0};
  Loop loop_{real_clock(), "kl-network"};
  TaskGroup stopping_{loop_};
};

/// KiB of this field of /proc/PID/FILE, summed over its lines.
uint64_t kib_of(const fs::path& file, const std::string& field) {
  uint64_t sum = 0;
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with(field)) {
      sum += std::strtoull(line.c_str() + field.size(), nullptr, 10);
    }
  }
  return sum;
}

/// KiB of the pages of BPF maps that a process has touched.
uint64_t mapped_maps(const fs::path& smaps) {
  uint64_t sum = 0;
  bool map = false;
  std::ifstream stream(smaps);
  for (std::string line; std::getline(stream, line);) {
    if (line.find('-') < 17) {
      map = line.ends_with("anon_inode:bpf-map");
    } else if (map && line.starts_with("Rss:")) {
      sum += std::strtoull(line.c_str() + 4, nullptr, 10);
    }
  }
  return sum;
}

/// What a daemon takes that routes so many services: its resident memory and its maps.
void measure_memory(uint32_t count) {
  ApiServer server(count);
  auto name = fmt::format("keelson-bench-{}", ::getpid());
  auto home = fs::temp_directory_path() / name;
  auto cgroup = fs::path(ebpf::cgroup2_root().value()) / name;
  fs::create_directories(home);
  fs::create_directories(cgroup);
  std::ofstream(home / "kubeconfig") << server.kubeconfig();
  testing::Background daemon(
      {fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "bin/keelson", "--run", home / "run", "node",
       "--roles", "network", "--node-name", "here", "--root", home / "root", "--kubeconfig", home / "kubeconfig",
       "--bpf-dir", "/sys/fs/bpf/" + name, "--socket-cgroup", cgroup, "--remove-services-on-exit"},
      home / "log");
  for (int i = 0; i < 3000 && testing::read_text(home / "log").find("services are routed") == std::string::npos; i++) {
    ::usleep(10'000);
  }
  ::sleep(2);
  auto process = fs::path("/proc") / std::to_string(daemon.pid());
  uint64_t maps = 0;
  for (const auto& entry : fs::directory_iterator(process / "fdinfo")) {
    if (kib_of(entry.path(), "map_type:\t") != 0) {
      maps += kib_of(entry.path(), "memlock:\t");
    }
  }
  // Maps are in its memory, too: they count once.
  auto resident = kib_of(process / "status", "VmRSS:\t") - mapped_maps(process / "smaps");
  fmt::print("{:>7} services: resident {:.1f} MiB, maps {:.1f} MiB; together {:.1f} MiB (goal at 10,000: 64)\n", count,
             static_cast<double>(resident) / 1024, static_cast<double>(maps) / 1048576,
             static_cast<double>(resident) / 1024 + static_cast<double>(maps) / 1048576);
  daemon.stop();
  fs::remove("/sys/fs/bpf/" + name);
  fs::remove(cgroup);
  fs::remove_all(home);
}

}  // namespace
}  // namespace keelson::bench

int main(int argc, char** argv) {
  using namespace keelson;
  if (auto reason = ebpf::testing::why_not(); !reason.empty()) {
    fmt::print("SKIP: api-sync: {}\n", reason);
    return 0;
  }
  log::set_level(log::Level::error);
  if (::unshare(CLONE_NEWNET) != 0) {
    fmt::print("SKIP: api-sync: needs a network namespace of its own\n");
    return 0;
  }
  ebpf::testing::shell("ip link set lo up");
  uint32_t only = argc > 1 ? static_cast<uint32_t>(std::strtoul(argv[1], nullptr, 10)) : 0;
  for (uint32_t count : {1'000u, 10'000u, 50'000u}) {
    if (only && only != count) {
      continue;
    }
    bench::Measured measured(count);
    if (auto done = measured.run(); !done) {
      fmt::print("api-sync: {}\n", done.error().message());
    }
    bench::measure_memory(count);
  }
}
