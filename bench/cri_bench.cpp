// SPDX-License-Identifier: Apache-2.0
// Pod and container verbs through CRI, ours and a peer's in turns on one machine: start, start of many at once, exec,
// stop, removal; their CPU time; and what daemons, keepers and pods weigh. Prints a table with ratios.
#include <fmt/format.h>

#include <filesystem>
#include <mutex>
#include <thread>

#include <CLI/CLI.hpp>

#include "bench/cri_calls.h"
#include "bench/machine.h"
#include "bench/report.h"

namespace {

using keelson::bench::cgroup_cpu_ms;
using keelson::bench::Clock;
using keelson::bench::Pod;
using keelson::bench::Runtime;
using keelson::bench::Samples;
using keelson::bench::since_ms;
using keelson::bench::smaps_kib;

constexpr int kExecs = 5;

struct Side {
  Runtime* runtime;
  std::string cgroup;  ///< the daemon, the keepers and the pods, and nothing else
  std::string keeper;
  std::string mark;  ///< of this run, in each keeper's command line
  std::string daemon_pid;
  Samples samples = {};
};

void one_pod(Side& side, int round, const std::string& image, Samples& samples) {
  double used = cgroup_cpu_ms(side.cgroup);
  auto spent = [&](const std::string& metric, int count) {
    const double now = cgroup_cpu_ms(side.cgroup);
    samples[metric].push_back((now - used) / count);
    used = now;
  };
  auto pod = side.runtime->start(fmt::format("one-{}", round), image, &samples);
  spent("pod start, CPU", 1);
  for (int i = 0; i < kExecs; ++i) {
    samples["ExecSync true"].push_back(side.runtime->exec(pod));
  }
  spent("ExecSync true, CPU", kExecs);
  side.runtime->remove(pod, &samples);
  spent("stop + remove, CPU", 1);
}

void weigh(Side& side, int pods) {
  const auto keepers = keelson::bench::processes(side.keeper, side.mark);
  for (const auto& pid : keepers) {
    side.samples["keeper private, KiB"].push_back(smaps_kib(pid, "Private_"));
  }
  double sum = 0;
  for (const auto& pid : keelson::bench::with_descendants(keepers)) {
    sum += smaps_kib(pid, "Private_");
  }
  side.samples["a pod's processes private, KiB"].push_back(sum / pods);
  side.samples[fmt::format("daemon RSS, {} pods, MiB", pods)].push_back(smaps_kib(side.daemon_pid, "Rss") / 1024);
  side.samples[fmt::format("daemon private, {} pods, MiB", pods)].push_back(smaps_kib(side.daemon_pid, "Private_") /
                                                                            1024);
}

void many_at_once(Side& side, int round, int count, const std::string& image) {
  std::vector<Pod> pods(static_cast<size_t>(count));
  auto at_once = [&](auto act) {
    std::vector<std::jthread> threads;
    for (int i = 0; i < count; ++i) {
      threads.emplace_back([&, i] { act(i, pods[static_cast<size_t>(i)]); });
    }
  };
  std::mutex mutex;
  const auto begin = Clock::now();
  at_once([&](int i, Pod& pod) {
    const auto pod_begin = Clock::now();
    pod = side.runtime->start(fmt::format("many-{}-{}", round, i), image, nullptr);
    const std::lock_guard lock(mutex);
    side.samples[fmt::format("each of {} pods at once", count)].push_back(since_ms(pod_begin));
  });
  side.samples[fmt::format("{} pods at once, all", count)].push_back(since_ms(begin));
  if (round == 0) {
    weigh(side, count);
  }
  const auto end = Clock::now();
  at_once([&](int, const Pod& pod) { side.runtime->remove(pod, nullptr); });
  side.samples[fmt::format("{} removed at once, all", count)].push_back(since_ms(end));
}

std::vector<keelson::bench::Row> rows(int many) {
  return {{"RunPodSandbox"},
          {"CreateContainer"},
          {"StartContainer"},
          {"pod start (all three)", 1.0 / 10},
          {"pod start, CPU"},
          {fmt::format("{} pods at once, all", many), 1.0 / 10},
          {fmt::format("each of {} pods at once", many), 1.0 / 10},
          {"ExecSync true", 1.0 / 10},
          {"ExecSync true, CPU", 1.0 / 10},
          {"StopContainer"},
          {"StopPodSandbox + Remove"},
          {"stop + remove (all)", 1.0 / 5},
          {"stop + remove, CPU"},
          {fmt::format("{} removed at once, all", many), 1.0 / 5},
          {"keeper private, KiB", 0, 512},
          {"a pod's processes private, KiB"},
          {fmt::format("daemon RSS, {} pods, MiB", many), 1.0 / 2},
          {fmt::format("daemon private, {} pods, MiB", many)}};
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Pod verbs through CRI, two runtimes in turns");
  std::string ours;
  std::string theirs;
  std::string image = "keelson.example/busybox:1";
  std::string home;
  std::string our_pid;
  std::string their_pid;
  int runs = 100;
  int many = 50;
  int many_runs = 5;
  app.add_option("--ours", ours, "Our CRI socket")->required();
  app.add_option("--theirs", theirs, "The peer's CRI socket")->required();
  app.add_option("--our-pid", our_pid, "Our daemon")->required();
  app.add_option("--their-pid", their_pid, "The peer's daemon")->required();
  app.add_option("--home", home, "A folder of this run: it marks keepers, names the cgroup, and holds logs")
      ->required();
  app.add_option("--image", image, "An image both have, with /bin/sleep and /bin/true");
  app.add_option("--runs", runs, "Rounds");
  app.add_option("--many", many, "Pods at once");
  app.add_option("--many-runs", many_runs, "Rounds of that");
  CLI11_PARSE(app, argc, argv);

  const auto cgroup = "/" + std::filesystem::path(home).filename().string();
  Runtime our_runtime("keelson", ours, cgroup + "/ours/pods", home + "/logs/ours");
  Runtime their_runtime("containerd", theirs, cgroup + "/theirs/pods", home + "/logs/theirs");
  Side sides[2] = {{&our_runtime, cgroup + "/ours", "keelson-shim", home, our_pid},
                   {&their_runtime, cgroup + "/theirs", "containerd-shim-runc-v2", home, their_pid}};
  for (int run = -1; run < runs; ++run) {
    for (auto& side : sides) {
      Samples warm_up;
      one_pod(side, run + 1, image, run < 0 ? warm_up : side.samples);
    }
  }
  for (int round = 0; round < many_runs; ++round) {
    for (auto& side : sides) {
      many_at_once(side, round, many, image);
    }
  }
  keelson::bench::print_table("keelson", sides[0].samples, "containerd", sides[1].samples, rows(many));
  return 0;
}
