// SPDX-License-Identifier: Apache-2.0
// From files of a cgroup tree to the Summary API, cAdvisor's names and the resource metrics.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <boost/json/parse.hpp>

#include "metrics/cadvisor.h"
#include "metrics/exposition.h"
#include "metrics/node_reader.h"
#include "metrics/resource.h"
#include "metrics/summary.h"

namespace keelson::metrics {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kNetDev = R"(Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:     100       1    0    0    0     0          0         0      100       1    0    0    0     0       0          0
  eth0: 1000 10 1 2 0 0 0 0 2000 20 3 4 0 0 0 0
 broken: 1 2
)";

TEST(Links, AreReadFromProc) {
  const auto links = parse_links(kNetDev);
  ASSERT_EQ(links.size(), 1U);
  EXPECT_EQ(links[0], (LinkUse{"eth0", {1000, 10, 1, 2}, {2000, 20, 3, 4}}));
  EXPECT_TRUE(read_links(-1).empty());
}

class NodeUseTest : public ::testing::Test {
 protected:
  NodeUseTest() {
    put("v2/cpu.stat", "usage_usec 9000000\n");
    put("v2/kubepods/pod1/cpu.stat", "usage_usec 3000000\n");
    put("v2/kubepods/pod1/memory.current", "5000\n");
    put("v2/kubepods/pod1/c0ffee/cpu.stat",
        "usage_usec 2000000\nuser_usec 1500000\nsystem_usec 500000\nnr_periods 7\n");
    put("v2/kubepods/pod1/c0ffee/cpu.max", "50000 100000\n");
    put("v2/kubepods/pod1/c0ffee/memory.current", "4000\n");
    put("v2/kubepods/pod1/c0ffee/memory.max", "10000\n");
    put("v2/kubepods/pod1/c0ffee/memory.stat", "anon 1000\ninactive_file 500\npgfault 9\npgmajfault 4\n");
    put("v2/kubepods/pod1/c0ffee/cgroup.procs", std::to_string(::getppid()) + "\n");
    put("logs/main/0.log", std::string(8192, 'x'));
    put("volume/file", std::string(8192, 'y'));
    places_ = {.name = "n1",
               .ids = {.machine = "m-1", .system = "s-1", .boot = "b-1"},
               .root = dir_,
               .pod_cgroups = {"/kubepods"},
               .pods = {{.ns = "shop",
                         .name = "web",
                         .uid = "1",
                         .cgroup = "/kubepods/pod1",
                         .started = clock_.wall(),
                         .containers = {{.name = "main",
                                         .id = "c0ffee",
                                         .image = "docker.io/library/web:1",
                                         .log_path = dir_ + "/logs/main/0.log",
                                         .started = clock_.wall(),
                                         .layer = DiskUse{.used = 77, .inodes_used = 3}}},
                         .volumes = {{.name = "data", .path = dir_ + "/volume"}},
                         .hosts_file = dir_ + "/etc-hosts"}}};
  }
  ~NodeUseTest() override { fs::remove_all(dir_); }
  void put(const std::string& file, const std::string& text) {
    fs::create_directories(fs::path(dir_ + "/" + file).parent_path());
    std::ofstream(dir_ + "/" + file) << text;
  }
  NodeUse read(Depth depth = Depth::disks) { return reader_.read(places_, depth); }
  static int64_t number(const json::value& value, const char* pointer) {
    boost::system::error_code error;
    const auto* found = value.find_pointer(pointer, error);
    return found != nullptr && found->is_number() ? found->to_number<int64_t>() : -1;
  }

  static std::string make_folder() {
    std::string pattern = "/tmp/keelson-use-XXXXXX";
    return ::mkdtemp(pattern.data());
  }

  const std::string dir_ = make_folder();
  FakeClock clock_;
  NodePlaces places_;
  NodeReader reader_{
      cgroup::CounterReader({cgroup::Hierarchy{.root = dir_ + "/v2", .controllers = {}, .second = true}}), clock_};
};

TEST_F(NodeUseTest, WhatAPodWritesToItsHostsIsThePods) {
  const auto before = ephemeral_storage(read().pods.at(0));
  put("etc-hosts", std::string(100'000, '#'));
  const auto after = ephemeral_storage(read().pods.at(0));
  EXPECT_GE(after.used, before.used + 100'000);
  EXPECT_EQ(after.inodes_used, before.inodes_used + 1);
}

TEST_F(NodeUseTest, IsToldByTheSummary) {
  const auto summary = json::parse(summary_json(read(), false));
  EXPECT_EQ(summary.at("node").at("nodeName"), "n1");
  EXPECT_EQ(number(summary, "/node/cpu/usageCoreNanoSeconds"), 9'000'000'000);
  EXPECT_GT(number(summary, "/node/memory/availableBytes"), 0);
  EXPECT_GT(number(summary, "/node/fs/capacityBytes"), 0);
  EXPECT_GT(number(summary, "/node/rlimit/curproc"), 0);
  EXPECT_EQ(summary.at_pointer("/node/systemContainers/0/name"), "pods");
  EXPECT_EQ(number(summary, "/node/systemContainers/0/memory/usageBytes"), 0);
  EXPECT_EQ(summary.at_pointer("/pods/0/podRef/namespace"), "shop");
  EXPECT_EQ(summary.at_pointer("/pods/0/startTime"), "2023-11-14T22:13:20Z");
  EXPECT_EQ(number(summary, "/pods/0/cpu/usageCoreNanoSeconds"), 3'000'000'000);
  EXPECT_EQ(number(summary, "/pods/0/memory/usageBytes"), 5000);
  EXPECT_EQ(number(summary, "/pods/0/memory/availableBytes"), -1) << "without a limit it is not told";
  EXPECT_EQ(number(summary, "/pods/0/containers/0/memory/workingSetBytes"), 3500);
  EXPECT_EQ(number(summary, "/pods/0/containers/0/memory/availableBytes"), 6500);
  EXPECT_EQ(number(summary, "/pods/0/containers/0/rootfs/usedBytes"), 77);
  EXPECT_GE(number(summary, "/pods/0/containers/0/logs/usedBytes"), 8192);
  EXPECT_EQ(number(summary, "/pods/0/containers/0/logs/inodesUsed"), 1);
  EXPECT_GE(number(summary, "/pods/0/volume/0/usedBytes"), 8192);
  EXPECT_GE(number(summary, "/pods/0/ephemeral-storage/usedBytes"), 77 + 2 * 8192);
  EXPECT_EQ(number(summary, "/pods/0/process_stats/process_count"), 1);
  EXPECT_EQ(number(summary, "/pods/0/containers/0/cpu/usageNanoCores"), -1) << "one reading makes no rate";
}

TEST_F(NodeUseTest, TheNodesOwnProcessesAreToldByTheirCgroups) {
  auto use = read();
  SystemUse kubelet;
  kubelet.name = "kubelet";
  kubelet.started = clock_.wall();
  kubelet.counters.memory = 4711;
  use.system.push_back(kubelet);
  const auto summary = json::parse(summary_json(use, true));
  EXPECT_EQ(summary.at_pointer("/node/systemContainers/0/name"), "kubelet");
  EXPECT_EQ(number(summary, "/node/systemContainers/0/memory/usageBytes"), 4711);
  EXPECT_EQ(summary.at_pointer("/node/systemContainers/0/startTime"), "2023-11-14T22:13:20Z");
  EXPECT_EQ(summary.at_pointer("/node/systemContainers/1/name"), "pods");
}

TEST_F(NodeUseTest, DevicesHaveTheNamesOfTheirFiles) {
  auto use = read();
  use.block_devices = {{{8, 0},
                        {.name = "sda",
                         .reads = {.merged = 2, .sectors = 3, .time = 250ms},
                         .writes = {.merged = 5, .sectors = 6, .time = 750ms},
                         .in_progress = 8,
                         .busy = 1500ms,
                         .weighted = 2500ms}}};
  use.counters.devices = {{.major = 8, .minor = 0, .reads = 5}, {.major = 99, .minor = 1, .reads = 6}};
  use.pods[0].containers[0].counters.devices = {{.major = 8, .minor = 0, .writes = 7}};
  Stats stats;
  collect_cadvisor(use, stats);
  const auto text = prometheus_text(stats);
  const std::string root = R"(container="",id="/",image="",name="",namespace="",pod="")";
  EXPECT_THAT(text, HasSubstr("container_fs_reads_total{" + root + ",device=\"/dev/sda\"} 5\n"));
  EXPECT_THAT(text, HasSubstr("container_fs_reads_total{" + root + ",device=\"99:1\"} 6\n")) << "it has no name";
  for (const auto& [name, value] : {std::pair("reads_merged_total", "2"),
                                    {"sector_reads_total", "3"},
                                    {"read_seconds_total", "0.25"},
                                    {"writes_merged_total", "5"},
                                    {"sector_writes_total", "6"},
                                    {"write_seconds_total", "0.75"},
                                    {"io_current", "8"},
                                    {"io_time_seconds_total", "1.5"},
                                    {"io_time_weighted_seconds_total", "2.5"}}) {
    EXPECT_THAT(text, HasSubstr(fmt::format("container_fs_{}{{{},device=\"/dev/sda\"}} {}\n", name, root, value)));
  }
  EXPECT_THAT(text, HasSubstr("namespace=\"shop\",pod=\"web\",device=\"/dev/sda\"} 7\n"));
}

TEST_F(NodeUseTest, ARateNeedsSomeSeconds) {
  read();
  put("v2/kubepods/pod1/c0ffee/cpu.stat", "usage_usec 4000000\n");
  clock_.advance(2s);
  EXPECT_FALSE(read().pods[0].containers[0].cpu_rate);
  clock_.advance(6s);
  EXPECT_EQ(read().pods[0].containers[0].cpu_rate, 250'000'000U) << "2 s of CPU in 8 s";
  clock_.advance(1s);
  EXPECT_EQ(read().pods[0].containers[0].cpu_rate, 250'000'000U) << "it stays until the next";
  put("v2/kubepods/pod1/c0ffee/cpu.stat", "usage_usec 1\n");
  clock_.advance(10s);
  EXPECT_FALSE(read().pods[0].containers[0].cpu_rate) << "another cgroup of that name began anew";
}

TEST_F(NodeUseTest, OnlyCpuAndMemoryIfThatIsAsked) {
  const auto summary = json::parse(summary_json(read(Depth::groups), true));
  EXPECT_TRUE(summary.at("node").as_object().contains("cpu"));
  for (const char* key : {"fs", "network", "rlimit", "swap", "runtime"}) {
    EXPECT_FALSE(summary.at("node").as_object().contains(key)) << key;
  }
  EXPECT_EQ(summary.at_pointer("/pods/0").as_object().size(), 5U);
  EXPECT_EQ(summary.at_pointer("/pods/0/containers/0").as_object().size(), 4U);
}

TEST_F(NodeUseTest, HasTheNamesOfCadvisor) {
  Stats stats;
  collect_cadvisor(read(), stats);
  const auto text = prometheus_text(stats);
  const std::string own =
      R"(container="main",id="/kubepods/pod1/c0ffee",image="docker.io/library/web:1",name="c0ffee",namespace="shop",pod="web")";
  EXPECT_THAT(text, HasSubstr("container_cpu_usage_seconds_total{" + own + ",cpu=\"total\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("container_cpu_cfs_periods_total{" + own + "} 7\n"));
  EXPECT_THAT(text, HasSubstr("container_memory_working_set_bytes{" + own + "} 3500\n"));
  EXPECT_THAT(text, HasSubstr("container_spec_cpu_quota{" + own + "} 50000\n"));
  EXPECT_THAT(text, HasSubstr("container_fs_usage_bytes{" + own + ",device=\"root\"} 77\n"));
  const std::string pod = R"(container="",id="/kubepods/pod1",image="",name="",namespace="shop",pod="web")";
  EXPECT_THAT(text, HasSubstr("container_memory_usage_bytes{" + pod + "} 5000\n"));
  EXPECT_THAT(text, Not(HasSubstr("container_spec_cpu_quota{" + pod))) << "it has none";
  EXPECT_THAT(text, HasSubstr("container_memory_usage_bytes{container=\"\",id=\"/\","));
  EXPECT_THAT(text, HasSubstr("container_memory_usage_bytes{container=\"\",id=\"/kubepods\","));
  EXPECT_THAT(text, HasSubstr("container_processes{" + own + "} 1\n"));
  EXPECT_THAT(text, HasSubstr("container_file_descriptors{" + own + "} "));
  EXPECT_THAT(text, HasSubstr("container_sockets{" + own + "} "));
  EXPECT_THAT(text, HasSubstr("container_ulimits_soft{" + own + ",ulimit=\"max_open_files\"} "));
  const std::string ids = R"(boot_id="b-1",machine_id="m-1",system_uuid="s-1")";
  EXPECT_THAT(text, HasSubstr("machine_cpu_sockets{" + ids + "} "));
  EXPECT_THAT(text, HasSubstr("machine_memory_bytes{" + ids + "} "));
  EXPECT_THAT(text, HasSubstr("machine_nvm_capacity{" + ids + ",mode=\"memory_mode\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("container_start_time_seconds{" + pod + "} 1700000000\n"));
  for (const char* scope : {"container", "hierarchy"}) {
    EXPECT_THAT(text, HasSubstr("container_memory_failures_total{" + own + ",failure_type=\"pgmajfault\",scope=\"" +
                                scope + "\"} 4\n"));
  }
  EXPECT_THAT(text, HasSubstr("# TYPE container_memory_failcnt counter\n"));
}

TEST_F(NodeUseTest, PodsOfTheHostsNetworkHaveNoLinks) {
  const auto here = read_links(::getppid());
  EXPECT_EQ(read().pods[0].links.size(), here.size());
  places_.pods[0].host_network = true;
  EXPECT_TRUE(read().pods[0].links.empty());
}

TEST_F(NodeUseTest, ResourcesSayWhenTheyWereRead) {
  Stats stats;
  const auto use = read(Depth::groups);
  collect_resource(use, stats);
  const auto text = prometheus_text(stats, use.at);
  EXPECT_THAT(
      text,
      HasSubstr(
          "container_cpu_usage_seconds_total{container=\"main\",namespace=\"shop\",pod=\"web\"} 2 1700000000000\n"));
  EXPECT_THAT(text, HasSubstr("pod_memory_working_set_bytes{namespace=\"shop\",pod=\"web\"} 5000 1700000000000\n"));
  EXPECT_THAT(text, HasSubstr("node_cpu_usage_seconds_total 9 1700000000000\n"));
  EXPECT_THAT(text, HasSubstr("container_start_time_seconds{container=\"main\",namespace=\"shop\",pod=\"web\"} "
                              "1700000000 1700000000000\n"));
  EXPECT_THAT(text, HasSubstr("resource_scrape_error 0"));
}

TEST_F(NodeUseTest, WhatIsGoneCountsNothing) {
  fs::remove_all(dir_ + "/v2/kubepods/pod1");
  fs::remove_all(dir_ + "/logs");
  const auto use = read();
  EXPECT_EQ(use.pods[0].containers[0].counters.cpu, 0U);
  EXPECT_EQ(use.pods[0].containers[0].logs.used, 0U);
  EXPECT_TRUE(use.pods[0].links.empty());
}

}  // namespace
}  // namespace keelson::metrics
