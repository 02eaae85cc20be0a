// SPDX-License-Identifier: Apache-2.0
// A service beside the same service of the real kube-proxy, beside a path with none: what clients see, and what it
// costs to have the services.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <list>
#include <map>

#include <CLI/CLI.hpp>

#include "bench/kube_proxy_node.h"
#include "bench/machine.h"
#include "bench/our_node.h"
#include "bench/report.h"
#include "bench/service_flows.h"
#include "bench/service_objects.h"
#include "bench/service_report.h"
#include "bench/service_world.h"
#include "common/log.h"
#include "ebpf/testing.h"

namespace keelson::bench {
namespace {

namespace fs = std::filesystem;

using testing::ProxyMode;

struct Options {
  std::string home;
  std::vector<uint32_t> sizes = {10, 1'000, 10'000};
  uint32_t largest = 50'000;  // ours alone, beside ours at the first of `sizes`
  int rounds = 9;
  int core = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)) - 1;
};

/// Who sends: a pod of the node to the service's address, or a client outside to a node port.
struct Sender {
  const char* netns;
  const char* title;
};
constexpr Sender kPod = {"caller", "from a pod, to the cluster IP"};
constexpr Sender kOutside = {"client", "from outside, to the node port"};

ServicePath path_of(const std::string& name, const ServiceWorld& world, const Sender& sender) {
  const bool pod = sender.netns == kPod.netns;
  return {.name = name,
          .netns = world.netns(sender.netns),
          .address = pod ? kTargetAddress : kNodeAddress,
          .port = pod ? kTargetPort : kTargetNodePort};
}

class ServicesBench {
 public:
  explicit ServicesBench(Options options) : options_(std::move(options)), store_(options_.home + "/store") {
    fs::create_directories(options_.home + "/store");
  }

  Result<> run() {
    fmt::print(
        "server and client on core {}; us; medians of {} rounds, ratios of crr/s to direct; iptables is legacy\n",
        options_.core, options_.rounds);
    KEELSON_TRY(auto direct, make_world("direct"));
    direct_ = direct;
    for (uint32_t size : options_.sizes) {
      KEELSON_DO(run_size(size).context("{} services", size));
    }
    return run_largest();
  }

 private:
  struct Ours {
    ServiceWorld* world;
    OurNode node;
  };
  struct Peer {
    ProxyMode mode;
    ServiceWorld* world;
  };

  Result<ServiceWorld*> make_world(const std::string& name) {
    KEELSON_TRY(auto world,
                ServiceWorld::make(fs::path(options_.home).filename().string() + "-" + name, options_.core));
    return &worlds_.emplace_back(std::move(world));
  }

  // A world for each way: a flow that the socket has translated is one to the pod itself, and may take the ports of one
  // that tc has translated and that has just ended.
  Result<> add_ours(uint32_t size) {
    for (const char* way : {"tc", "socket"}) {
      KEELSON_TRY(auto* world, make_world(fmt::format("{}-{}", way, size)));
      const auto start = Clock::now();
      KEELSON_TRY(auto node, OurNode::start(*world, size));
      fmt::print("{} services: keelson, {}: objects in memory to kernel, programs loaded: {:.0f} ms\n", size, way,
                 since_ms(start));
      ours_.emplace(std::pair(way, size), Ours{world, std::move(node)});
    }
    return {};
  }

  // Without a peer the rest is measured.
  void add_peer(uint32_t size, ProxyMode mode, std::vector<Peer>& peers) {
    auto added = [&]() -> Result<> {
      KEELSON_TRY(auto* world, make_world(fmt::format("{}-{}", to_string(mode), size)));
      KEELSON_TRY(auto cost, store_.write_rules(*world, mode, size, size < 10'000 ? 5 : 3));
      fmt::print(
          "{} services: kube-proxy {}: start to rules {:.1f} s; one change, API to kernel, median {:.0f} ms "
          "({:.0f}..{:.0f}); resident {:.0f} MiB\n",
          size, to_string(mode), cost.cold_ms / 1000, median(cost.changes), quantile(cost.changes, 0),
          quantile(cost.changes, 1), cost.resident_mib);
      peers.push_back({mode, world});
      return {};
    }();
    if (!added) {
      fmt::print("SKIP: kube-proxy {} at {} services: {}\n", to_string(mode), size, added.error().message());
    }
  }

  Result<> run_size(uint32_t size) {
    fmt::print("\n== {} services\n", size);
    KEELSON_DO(add_ours(size));
    std::vector<Peer> peers;
    if (auto reason = testing::why_no_kube_proxy(); !reason.empty()) {
      fmt::print("SKIP: kube-proxy: {}\n", reason);
    } else {
      add_peer(size, ProxyMode::iptables, peers);
      add_peer(size, ProxyMode::nftables, peers);
    }
    for (const auto& sender : {kPod, kOutside}) {
      auto paths = std::vector{direct_path(sender), tc_path(size, sender)};
      if (sender.netns == kPod.netns) {
        paths.push_back(socket_path(size));
      }
      for (const auto& peer : peers) {
        paths.push_back(path_of(std::string(to_string(peer.mode)), *peer.world, sender));
      }
      KEELSON_TRY(auto values, measure_paths(fmt::format("{} services, {}", size, sender.title), paths));
      auto goal = [&](const char* ours, const char* theirs, double bound) {
        print_goal({"crr/s", ours, theirs, bound}, values);
      };
      goal("tc", "nftables", 1.20);
      goal("tc", "iptables", size >= 10'000 ? 1.65 : 1.20);
      goal("tc", "direct", 1.0);
      goal("socket", "direct", 0.97);
    }
    return {};
  }

  // Beside itself with few, in the same rounds.
  Result<> run_largest() {
    const uint32_t few = options_.sizes.front(), many = options_.largest;
    fmt::print("\n== {} services beside {}\n", many, few);
    KEELSON_DO(add_ours(many));
    std::vector<ServicePath> paths = {direct_path(kPod)};
    for (uint32_t size : {few, many}) {
      paths.push_back(tc_path(size, kPod));
      paths.push_back(socket_path(size));
      paths[paths.size() - 2].name = fmt::format("tc {}", size);
      paths.back().name = fmt::format("socket {}", size);
    }
    KEELSON_TRY(auto values, measure_paths(fmt::format("{} services beside {}, {}", many, few, kPod.title), paths));
    for (const char* way : {"tc", "socket"}) {
      const auto ours = fmt::format("{} {}", way, many), theirs = fmt::format("{} {}", way, few);
      print_goal({"crr/s", ours, theirs, 0.95}, values);
      for (const char* metric : {"connect p50", "rr p50", "udp p50", "first p50"}) {
        print_goal({metric, ours, theirs, 1.05, false}, values);
      }
    }
    return {};
  }

  ServicePath direct_path(const Sender& sender) const {
    auto path = path_of("direct", *direct_, sender);
    path.address = kPodAddresses[0];
    path.port = kServerPort;
    return path;
  }
  ServicePath tc_path(uint32_t size, const Sender& sender) const {
    return path_of("tc", *ours_.at({"tc", size}).world, sender);
  }
  ServicePath socket_path(uint32_t size) const {
    const auto& ours = ours_.at({"socket", size});
    auto path = path_of("socket", *ours.world, kPod);
    path.cgroup = ours.node.cgroup();
    return path;
  }

  Result<std::vector<NamedValues>> measure_paths(const std::string& title, const std::vector<ServicePath>& paths) {
    for (const auto& path : paths) {
      KEELSON_DO(wait_until_served(path));
    }
    KEELSON_TRY(auto values, measure(paths, {}, options_.rounds, options_.core));
    std::vector<NamedValues> named;
    for (size_t i = 0; i < paths.size(); i++) {
      named.push_back({paths[i].name, std::move(values[i])});
    }
    print_paths(title, named);
    return named;
  }

  Options options_;
  ServiceStore store_;
  // Until the end, for the kernel takes seconds to remove many rules, and would do so beside the next measurement.
  std::list<ServiceWorld> worlds_;
  ServiceWorld* direct_ = nullptr;
  std::map<std::pair<std::string, uint32_t>, Ours> ours_;  // by way and size
};

}  // namespace
}  // namespace keelson::bench

int main(int argc, char** argv) {
  using namespace keelson;
  bench::Options options;
  std::vector<int> serve;
  CLI::App app("services beside kube-proxy's");
  app.add_option("--home", options.home, "A new folder, whose name all namespaces, pins and cgroups get");
  app.add_option("--sizes", options.sizes, "Numbers of services, rising")->delimiter(',');
  app.add_option("--largest", options.largest, "Number of services of the last part, of ours alone");
  app.add_option("--rounds", options.rounds);
  app.add_option("--serve", serve, "Core and sockets of a process of servers")->group("");
  CLI11_PARSE(app, argc, argv);
  if (!serve.empty()) {
    bench::serve(serve[0], {serve.begin() + 1, serve.end()});
  }
  if (auto reason = ebpf::testing::why_not(); !reason.empty()) {
    fmt::print("SKIP: services: {}\n", reason);
    return 0;
  }
  log::set_level(log::Level::error);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // what is known so far is seen so far, in a file, too
  auto done = bench::ServicesBench(options).run();
  if (!done) {
    fmt::print("services: {}\n", done.error().message());
  }
  return done ? 0 : 1;
}
