// SPDX-License-Identifier: Apache-2.0
// A Keelson node beside the stock kubelet with containerd, on one real control plane: pods from their creation until a
// watch sees them Ready, one and many at once; until they are gone; memory, CPU of a node that has only to keep its
// pods, and requests to the API server. Both nodes are there all the time, and take turns.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <thread>

#include <CLI/CLI.hpp>

#include "bench/cluster_side.h"
#include "bench/machine.h"
#include "bench/report.h"
#include "common/log.h"
#include "tests/support/cluster_images.h"
#include "tests/support/cluster_pods.h"

namespace keelson::bench {
namespace {

using testing::ClusterPods;
using testing::ms_between;
using testing::PodTimes;

struct Options {
  std::string home;
  int runs = 20;
  std::vector<int> sizes = {20, 50, 100};
  int many_runs = 2;
  std::vector<int> idle = {20, 100};
  int idle_seconds = 60;
};

constexpr std::chrono::seconds kSettle{15};

/// The image's only program waits, and ends on SIGTERM.
std::string spec_on(const std::string& node) {
  return fmt::format(R"({{"nodeSelector":{{"kubernetes.io/hostname":"{}"}},
    "containers":[{{"name":"main","image":"keelson.example/pause:1","imagePullPolicy":"IfNotPresent"}}]}})",
                     node);
}

std::string at_once(int count) {
  return count == 1 ? "1 pod" : fmt::format("{} at once", count);
}

void add_starts(Samples& samples, int count, const std::vector<PodTimes>& pods) {
  double all = 0;
  for (const auto& pod : pods) {
    samples[at_once(count) + ": create -> Ready"].push_back(ms_between(pod.create_sent, pod.ready));
    samples[at_once(count) + ":   create -> bound"].push_back(ms_between(pod.create_sent, pod.bound));
    samples[at_once(count) + ":   bound -> Ready"].push_back(ms_between(pod.bound, pod.ready));
    all = std::max(all, ms_between(pods.front().create_sent, pod.ready));
  }
  samples[at_once(count) + ": all Ready"].push_back(all);
}

void add_ends(Samples& samples, int count, const std::vector<PodTimes>& pods) {
  double all = 0;
  for (const auto& pod : pods) {
    samples[at_once(count) + ": delete -> gone"].push_back(ms_between(pod.delete_sent, pod.gone));
    all = std::max(all, ms_between(pods.front().delete_sent, pod.gone));
  }
  samples[at_once(count) + ": all gone"].push_back(all);
}

class ClusterBench {
 public:
  ClusterBench(const Options& options, ClusterPods& pods, ApiRequests& requests, ClusterSide& ours, ClusterSide& theirs)
      : options_(options), pods_(pods), requests_(requests), sides_{&ours, &theirs} {}

  Result<> run() {
    KEELSON_DO(round(1, false));  // warm: the first pod of a node waits for what no other does
    requests_.take();
    for (int i = 0; i < options_.runs; ++i) {
      KEELSON_DO(round(1, true));
    }
    tell_requests(options_.runs);
    for (int size : options_.sizes) {
      for (int i = 0; i < options_.many_runs; ++i) {
        KEELSON_DO(round(size, true));
      }
    }
    for (int size : options_.idle) {
      KEELSON_DO(idle(size));
    }
    print_table(sides_[0]->name, sides_[0]->samples, sides_[1]->name, sides_[1]->samples, rows());
    return {};
  }

 private:
  Result<> round(int count, bool counts) {
    for (auto* side : sides_) {
      const auto prefix = fmt::format("{}-{}", side->name, round_++);
      const double used = cgroup_cpu_ms(side->cgroup);
      KEELSON_TRY(auto started, pods_.start(spec_on(side->node), prefix, count));
      const double started_cpu = cgroup_cpu_ms(side->cgroup);
      KEELSON_TRY(auto ended, pods_.remove(prefix, count));
      if (counts) {
        add_starts(side->samples, count, started);
        add_ends(side->samples, count, ended);
        side->samples[at_once(count) + ": CPU a pod, start"].push_back((started_cpu - used) / count);
        side->samples[at_once(count) + ": CPU a pod, end"].push_back((cgroup_cpu_ms(side->cgroup) - started_cpu) /
                                                                     count);
      }
      fmt::print(stderr, "{}: {} started and ended\n", side->name, at_once(count));
    }
    return {};
  }

  Result<> idle(int count) {
    for (auto* side : sides_) {
      KEELSON_TRY(auto started, pods_.start(spec_on(side->node), side->name + "-idle", count));
    }
    std::this_thread::sleep_for(kSettle);
    double before[2] = {};
    for (size_t i = 0; i < 2; ++i) {
      before[i] = cgroup_cpu_ms(sides_[i]->cgroup);
    }
    const auto begin = Clock::now();
    std::this_thread::sleep_for(std::chrono::seconds(options_.idle_seconds));
    const double minutes = since_ms(begin) / 60'000;
    const auto suffix = fmt::format(", {} pods", count);
    for (size_t i = 0; i < 2; ++i) {
      sides_[i]->samples["idle CPU a minute" + suffix].push_back((cgroup_cpu_ms(sides_[i]->cgroup) - before[i]) /
                                                                 minutes);
      sides_[i]->weigh(suffix);
    }
    for (auto* side : sides_) {
      KEELSON_TRY(auto ended, pods_.remove(side->name + "-idle", count));
    }
    return {};
  }

  void tell_requests(int pods) {
    auto counts = requests_.take();
    for (auto* side : sides_) {
      std::string parts;
      double all = 0;
      for (const auto& user : side->users) {
        for (const auto& [what, count] : counts[user]) {
          parts += fmt::format("{}{} {:.1f}", parts.empty() ? "" : ", ", what, static_cast<double>(count) / pods);
          all += static_cast<double>(count) / pods;
        }
      }
      side->samples["API requests a pod"].push_back(all);
      fmt::print("API requests a pod, {}: {}\n", side->name, parts);
    }
  }

  std::vector<Row> rows() const {
    std::vector<Row> rows;
    auto sizes = options_.sizes;
    sizes.insert(sizes.begin(), 1);
    for (int size : sizes) {
      const auto title = at_once(size);
      rows.push_back({title + ": create -> Ready", 1.0 / 6});
      rows.push_back({title + ":   create -> bound"});
      rows.push_back({title + ":   bound -> Ready"});
      rows.push_back({title + ": all Ready"});
      rows.push_back({title + ": delete -> gone", 1.0 / 3});
      rows.push_back({title + ": all gone"});
      rows.push_back({title + ": CPU a pod, start"});
      rows.push_back({title + ": CPU a pod, end"});
    }
    for (int size : options_.idle) {
      const auto suffix = fmt::format(", {} pods", size);
      rows.push_back({"daemons RSS, MiB" + suffix});
      rows.push_back({"keepers" + suffix});
      rows.push_back({"keepers RSS, MiB" + suffix});
      rows.push_back({"all RSS, MiB" + suffix, 1.0 / 3});
      rows.push_back({"all PSS, MiB" + suffix, 1.0 / 3});
      rows.push_back({"idle CPU a minute" + suffix, 1.0 / 5});
    }
    rows.push_back({"API requests a pod"});
    return rows;
  }

  const Options& options_;
  ClusterPods& pods_;
  ApiRequests& requests_;
  ClusterSide* sides_[2];
  int round_ = 0;
};

void wait_node_ready(testing::ControlPlane& plane, const std::string& node) {
  const auto end = Clock::now() + std::chrono::seconds(60);
  while (plane.kubectl({"get", "node", node, "-o", "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}"}).out !=
         "True") {
    ASSERT_LT(Clock::now(), end) << node << " is not Ready after a minute";
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

Result<> run(const Options& options, const std::string& bin) {
  testing::enter_node_network("10.250.0.1");
  const auto images = options.home + "/images";
  std::filesystem::create_directories(images);
  testing::make_images(images);
  testing::ControlPlane plane(options.home + "/control-plane", "ours", testing::ControlPlane::Parts::all);
  const auto their_kubeconfig = plane.add_node("theirs");
  plane.audit_nodes();
  plane.start();
  ApiRequests requests(plane.audit_log());
  const ClusterPlace place{.home = options.home,
                           .bin = bin,
                           .images = images,
                           .control_plane = plane,
                           .our_node = "ours",
                           .their_node = "theirs",
                           .their_kubeconfig = their_kubeconfig};
  auto ours = start_keelson(place);
  auto theirs = start_kubelet(place);
  wait_node_ready(plane, ours.node);
  wait_node_ready(plane, theirs.node);
  KEELSON_TRY(auto pods, ClusterPods::connect(plane.admin_kubeconfig()));
  auto done = ClusterBench(options, *pods, requests, ours, theirs).run();
  ours.stop();
  theirs.stop();
  return done;
}

}  // namespace
}  // namespace keelson::bench

int main(int argc, char** argv) {
  CLI::App app("A Keelson node beside the stock kubelet on containerd");
  keelson::bench::Options options;
  app.add_option("--home", options.home, "An empty folder of this run: it names the cgroup and holds all files")
      ->required();
  app.add_option("--runs", options.runs, "Rounds of one pod");
  app.add_option("--sizes", options.sizes, "Pods at once")->delimiter(',');
  app.add_option("--many-runs", options.many_runs, "Rounds of each of these");
  app.add_option("--idle", options.idle, "Pods that are kept, for memory and CPU")->delimiter(',');
  app.add_option("--idle-seconds", options.idle_seconds, "How long their CPU time is taken");
  CLI11_PARSE(app, argc, argv);

  if (keelson::testing::kubernetes_program().empty()) {
    fmt::print("SKIP: cluster: needs the stock Kubernetes programs: ./dev peers\n");
    return 0;
  }
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  GTEST_FLAG_SET(throw_on_failure, true);
  ::testing::InitGoogleTest();
  const auto bin = (std::filesystem::path(argv[0]).parent_path().parent_path() / "bin").string();
  auto done = keelson::bench::run(options, std::filesystem::absolute(bin).string());
  if (!done) {
    fmt::print(stderr, "cluster_bench: {}\n", done.error().message());
    return 1;
  }
  return 0;
}
