// SPDX-License-Identifier: Apache-2.0
// cluster_side.h: command lines and their files.
#include "bench/cluster_side.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <set>
#include <thread>

#include <boost/json/parse.hpp>

#include "bench/machine.h"

namespace keelson::bench {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

using testing::Background;

constexpr const char* kAddress = "10.250.0.1";
constexpr int kMaxPods = 150;

void wait_until(const std::string& what, const std::string& log, const std::function<bool()>& condition) {
  const auto end = Clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    ASSERT_LT(Clock::now(), end) << what << ": not within a minute\n" << testing::run({"tail", "-n", "20", log}).out;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

/// A command that runs in this cgroup, of the hierarchy that cgroup_cpu_ms() reads.
std::vector<std::string> in_cgroup(const std::string& cgroup, std::vector<std::string> command) {
  const std::string hierarchy = fs::exists("/sys/fs/cgroup/cpuacct") ? "/sys/fs/cgroup/cpuacct" : "/sys/fs/cgroup";
  fs::create_directories(hierarchy + cgroup);
  command.insert(command.begin(), {"sh", "-c", R"(echo $$ > "$0" && exec "$@")", hierarchy + cgroup + "/cgroup.procs"});
  return command;
}

std::string cgroup_of(const ClusterPlace& place, const char* side) {
  return fmt::format("/{}/{}", fs::path(place.home).filename().string(), side);
}

/// The kubelet wants its root to be there.
void make_in_each_hierarchy(const std::string& cgroup) {
  if (fs::exists("/sys/fs/cgroup/cgroup.controllers")) {
    fs::create_directories("/sys/fs/cgroup" + cgroup);
    return;
  }
  for (const auto& hierarchy : fs::directory_iterator("/sys/fs/cgroup")) {
    if (hierarchy.is_directory() && !hierarchy.is_symlink()) {
      fs::create_directories(hierarchy.path().string() + cgroup);
    }
  }
}

Background start_containerd(const ClusterPlace& place, const ClusterSide& side, const std::string& folder) {
  fs::create_directories(folder + "/net.d");
  std::ofstream(folder + "/net.d/10.conflist") << fmt::format(
      R"({{"cniVersion":"1.0.0","name":"theirs","plugins":[{{"type":"bridge","bridge":"kl-bench0","isGateway":true,"ipam":
{{"type":"host-local","dataDir":"{}/host-local","ranges":[[{{"subnet":"10.243.1.0/24"}}]],"routes":[{{"dst":"0.0.0.0/0"}}]}}}}]}})",
      folder);
  const auto log = folder + "/containerd.log";
  Background containerd(in_cgroup(side.cgroup + "/daemons",
                                  {KEELSON_SOURCE_DIR "/tests/support/containerd.sh", folder, folder + "/net.d"}),
                        log);
  const auto socket = folder + "/containerd.sock";
  wait_until("containerd listens", log, [&] { return testing::takes_connections(socket); });
  auto imported =
      testing::run({"ctr", "--address", socket, "-n", "k8s.io", "images", "import", place.images + "/pause.tar"});
  EXPECT_EQ(imported.code, 0) << imported.error;
  return containerd;
}

Background start_kubelet_program(const ClusterPlace& place, const ClusterSide& side, const std::string& folder) {
  const auto pods = side.cgroup + "/pods";
  make_in_each_hierarchy(pods);
  std::ofstream(folder + "/kubelet.yaml") << fmt::format(R"(apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {{anonymous: {{enabled: true}}, webhook: {{enabled: false}}}}
authorization: {{mode: AlwaysAllow}}
port: 10350
healthzPort: 10348
maxPods: {}
cgroupDriver: cgroupfs
cgroupRoot: {}
failCgroupV1: false
failSwapOn: false
evictionHard: {{memory.available: 1Mi}}
containerRuntimeEndpoint: unix://{}/containerd.sock
podLogsDir: {}/logs
)",
                                                         kMaxPods, pods, folder, folder);
  return {in_cgroup(side.cgroup + "/daemons",
                    {testing::kubernetes_program(), "kubelet", "--config", folder + "/kubelet.yaml", "--kubeconfig",
                     place.their_kubeconfig, "--hostname-override", side.node, "--node-ip", kAddress, "--root-dir",
                     folder + "/kubelet", "--cert-dir", folder + "/kubelet-certificates"}),
          folder + "/kubelet.log"};
}

double smaps_mib(const std::vector<std::string>& pids, const std::string& field) {
  double sum = 0;
  for (const auto& pid : pids) {
    sum += smaps_kib(pid, field) / 1024;
  }
  return sum;
}

}  // namespace

void ClusterSide::weigh(const std::string& suffix) {
  std::vector<std::string> pids;
  for (const auto& daemon : daemons) {
    pids.push_back(std::to_string(daemon.pid()));
  }
  const auto keepers = processes(keeper, mark);
  samples["daemons RSS, MiB" + suffix].push_back(smaps_mib(pids, "Rss"));
  samples["keepers" + suffix].push_back(static_cast<double>(keepers.size()));
  samples["keepers RSS, MiB" + suffix].push_back(smaps_mib(keepers, "Rss"));
  pids.insert(pids.end(), keepers.begin(), keepers.end());
  samples["all RSS, MiB" + suffix].push_back(smaps_mib(pids, "Rss"));
  samples["all PSS, MiB" + suffix].push_back(smaps_mib(pids, "Pss:"));
}

void ClusterSide::stop() {
  for (auto& daemon : daemons) {
    daemon.stop();
  }
  daemons.clear();
}

ClusterSide start_keelson(const ClusterPlace& place) {
  const auto folder = place.home + "/ours";
  ClusterSide side{.name = "keelson",
                   .node = place.our_node,
                   .users = {"system:node:" + place.our_node, "system:kube-proxy"},
                   .cgroup = cgroup_of(place, "ours"),
                   .keeper = "keelson-shim",
                   .mark = folder};
  fs::create_directories(folder + "/net.d");
  fs::create_directories(folder + "/manifests");
  std::ofstream(folder + "/net.d/10.conflist") << fmt::format(
      R"({{"cniVersion":"1.1.0","name":"ours","plugins":[{{"type":"keelson-cni","dataDir":"{}/ipam","ranges":["10.243.0.0/24"]}}]}})",
      folder);
  const auto& plane = place.control_plane;
  const auto pins = "/sys/fs/bpf/" + fs::path(place.home).filename().string();
  side.daemons.emplace_back(in_cgroup(side.cgroup + "/daemons", {place.bin + "/keelson",
                                                                 "--run",
                                                                 folder + "/run",
                                                                 "node",
                                                                 "--roles",
                                                                 "agent,runtime,network",
                                                                 "--node-name",
                                                                 side.node,
                                                                 "--root",
                                                                 folder + "/root",
                                                                 "--manifests",
                                                                 folder + "/manifests",
                                                                 "--kubeconfig",
                                                                 plane.node_kubeconfig(),
                                                                 "--network-kubeconfig",
                                                                 plane.proxy_kubeconfig(),
                                                                 "--client-ca-file",
                                                                 plane.authority_file(),
                                                                 "--cni-conf-dir",
                                                                 folder + "/net.d",
                                                                 "--cni-bin-dir",
                                                                 place.bin,
                                                                 "--pod-logs-dir",
                                                                 folder + "/logs/pods",
                                                                 "--container-logs-dir",
                                                                 folder + "/logs/containers",
                                                                 "--cgroup-root",
                                                                 side.cgroup + "/pods",
                                                                 "--bpf-dir",
                                                                 pins,
                                                                 "--set-kernel-defaults=false",
                                                                 "--fail-swap-on=false",
                                                                 "--max-pods",
                                                                 std::to_string(kMaxPods),
                                                                 "--eviction-hard",
                                                                 "memory.available<1Mi",
                                                                 "--image-archives",
                                                                 place.images,
                                                                 "--remove-pods-on-exit",
                                                                 "--remove-services-on-exit"}),
                            folder + "/keelson.log");
  wait_until("keelson answers", folder + "/keelson.log",
             [&] { return testing::run({place.bin + "/keelson", "--run", folder + "/run", "get", "pods"}).code == 0; });
  return side;
}

ClusterSide start_kubelet(const ClusterPlace& place) {
  const auto folder = place.home + "/theirs";
  ClusterSide side{.name = "kubelet",
                   .node = place.their_node,
                   .users = {"system:node:" + place.their_node},
                   .cgroup = cgroup_of(place, "theirs"),
                   .keeper = "containerd-shim-runc-v2",
                   .mark = folder};
  fs::create_directories(folder);
  side.daemons.push_back(start_containerd(place, side, folder));
  side.daemons.push_back(start_kubelet_program(place, side, folder));
  return side;
}

std::map<std::string, std::map<std::string, int>> ApiRequests::take() {
  static const std::set<std::string> kOfNodes = {"leases", "nodes", "csinodes", "csidrivers", "runtimeclasses"};
  std::map<std::string, std::map<std::string, int>> counts;
  std::ifstream file(log_);
  file.seekg(read_);
  for (std::string line; std::getline(file, line) && !file.eof();) {
    read_ = file.tellg();
    boost::system::error_code error;
    const auto event = json::parse(line, error);
    const auto* object = error ? nullptr : event.as_object().if_contains("objectRef");
    if (object == nullptr || !object->as_object().contains("resource")) {
      continue;
    }
    const auto& ref = object->as_object();
    std::string what(ref.at("resource").as_string());
    if (kOfNodes.contains(what)) {
      continue;
    }
    if (const auto* part = ref.if_contains("subresource")) {
      what += "/" + std::string(part->as_string());
    }
    const std::string user(event.at("user").at("username").as_string());
    ++counts[user][std::string(event.at("verb").as_string()) + " " + what];
  }
  return counts;
}

}  // namespace keelson::bench
