// SPDX-License-Identifier: Apache-2.0
// What is read of which file, in both versions.
#include "common/cgroup/counters.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

namespace keelson::cgroup {
namespace {

namespace fs = std::filesystem;

class CountersTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = (fs::temp_directory_path() / "keelson-counters-XXXXXX").string();
    ASSERT_NE(::mkdtemp(dir_.data()), nullptr);
  }
  void TearDown() override { fs::remove_all(dir_); }
  void put(const std::string& file, const std::string& text) {
    fs::create_directories(fs::path(dir_ + "/" + file).parent_path());
    std::ofstream(dir_ + "/" + file) << text;
  }
  Hierarchy hierarchy(const std::string& name, std::vector<std::string> controllers) {
    const bool second = controllers.empty();
    return {.root = dir_ + "/" + name, .controllers = std::move(controllers), .second = second};
  }
  std::string dir_;
};

TEST_F(CountersTest, OfTheSecondVersion) {
  put("v2/a/cpu.stat", "usage_usec 5\nuser_usec 3\nsystem_usec 2\nnr_periods 7\nnr_throttled 1\nthrottled_usec 9\n");
  put("v2/a/cpu.max", "50000 100000\n");
  put("v2/a/cpu.weight", "39\n");
  put("v2/a/memory.current", "1000\n");
  put("v2/a/memory.peak", "1500\n");
  put("v2/a/memory.max", "max\n");
  put("v2/a/memory.stat",
      "anon 400\nfile 500\nkernel 60\nfile_mapped 70\ninactive_file 300\nactive_file 200\npgfault 11\npgmajfault 12\n");
  put("v2/a/memory.events", "low 0\nhigh 0\nmax 4\noom 3\noom_kill 2\n");
  put("v2/a/memory.swap.current", "8\n");
  put("v2/a/memory.swap.max", "4096\n");
  put("v2/a/pids.current", "6\n");
  put("v2/a/pids.max", "100\n");
  put("v2/a/io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n252:1 \n");
  put("v2/a/memory.pressure",
      "some avg10=1.50 avg60=0.20 avg300=0.00 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n");
  const auto found = CounterReader({hierarchy("v2", {})}).read("/a");
  EXPECT_EQ(found.cpu, 5000U);
  EXPECT_EQ(found.cpu_user, 3000U);
  EXPECT_EQ(found.cpu_system, 2000U);
  EXPECT_EQ(found.periods, 7U);
  EXPECT_EQ(found.throttled_periods, 1U);
  EXPECT_EQ(found.throttled, 9000U);
  EXPECT_EQ(found.cpu_quota, 50000);
  EXPECT_EQ(found.cpu_period, 100000U);
  EXPECT_NEAR(static_cast<double>(found.cpu_shares), 1000, 30);
  EXPECT_EQ(found.memory, 1000U);
  EXPECT_EQ(found.working_set, 700U);
  EXPECT_EQ(found.anonymous, 400U);
  EXPECT_EQ(found.cache, 500U);
  EXPECT_EQ(found.mapped_files, 70U);
  EXPECT_EQ(found.active_files, 200U);
  EXPECT_EQ(found.kernel, 60U);
  EXPECT_EQ(found.swap, 8U);
  EXPECT_EQ(found.swap_limit, 4096U);
  EXPECT_EQ(found.highest_memory, 1500U);
  EXPECT_EQ(found.memory_limit, 0U);
  EXPECT_EQ(found.failures, 4U);
  EXPECT_EQ(found.oom_kills, 2U);
  EXPECT_EQ(found.page_faults, 11U);
  EXPECT_EQ(found.major_page_faults, 12U);
  EXPECT_EQ(found.threads, 6U);
  EXPECT_EQ(found.threads_limit, 100U);
  ASSERT_EQ(found.devices.size(), 1U);
  EXPECT_EQ(found.devices[0].written_bytes, 2U);
  EXPECT_EQ(found.devices[0].reads, 3U);
  ASSERT_TRUE(found.memory_pressure);
  EXPECT_EQ(found.memory_pressure->some.average_10, 1.5);
  EXPECT_EQ(found.memory_pressure->full.total_microseconds, 5U);
  EXPECT_FALSE(found.cpu_pressure);
}

TEST_F(CountersTest, OfTheFirst) {
  put("cpu/a/cpu.stat", "nr_periods 7\nnr_throttled 1\nthrottled_time 9\n");
  put("cpu/a/cpu.shares", "512\n");
  put("cpu/a/cpu.cfs_quota_us", "-1\n");
  put("cpu/a/cpu.cfs_period_us", "100000\n");
  put("cpu/a/cpuacct.usage", "123\n");
  put("cpu/a/cpuacct.stat", "user 3\nsystem 2\n");
  put("memory/a/memory.usage_in_bytes", "1000\n");
  put("memory/a/memory.limit_in_bytes", "9223372036854771712\n");
  put("memory/a/memory.failcnt", "4\n");
  put("memory/a/memory.stat", "cache 1\ntotal_cache 500\ntotal_rss 400\ntotal_swap 8\ntotal_inactive_file 1300\n");
  put("blkio/a/blkio.throttle.io_service_bytes_recursive",
      "8:0 Read 1\n8:0 Write 2\n8:0 Sync 3\n8:0 Total 3\nTotal 3\n");
  put("blkio/a/blkio.throttle.io_serviced_recursive", "8:0 Read 5\n8:0 Write 6\nTotal 11\n");
  const CounterReader reader(
      {hierarchy("cpu", {"cpu", "cpuacct"}), hierarchy("memory", {"memory"}), hierarchy("blkio", {"blkio"})});
  const auto found = reader.read("/a");
  EXPECT_EQ(found.cpu, 123U);
  EXPECT_EQ(found.cpu_user, 30'000'000U);
  EXPECT_EQ(found.throttled, 9U);
  EXPECT_EQ(found.cpu_quota, 0);
  EXPECT_EQ(found.cpu_shares, 512U);
  EXPECT_EQ(found.memory_limit, 0U);
  EXPECT_EQ(found.cache, 500U);
  EXPECT_EQ(found.working_set, 0U) << "never less than nothing";
  EXPECT_EQ(found.failures, 4U);
  ASSERT_EQ(found.devices.size(), 1U);
  EXPECT_EQ(found.devices[0].reads, 5U);
  EXPECT_EQ(found.devices[0].written_bytes, 2U);
  EXPECT_FALSE(found.memory_pressure);
}

TEST_F(CountersTest, OfTheMachineAndOfNothing) {
  put("v2/cpu.stat", "usage_usec 5\n");
  put("v2/memory.stat", "inactive_file 1000\n");
  const CounterReader reader({hierarchy("v2", {})});
  const auto machine = reader.read("/");
  EXPECT_GT(machine.memory, 1U << 20) << "the root of v2 does not tell";
  EXPECT_EQ(machine.memory - machine.working_set, 1000U);
  EXPECT_EQ(reader.read("/absent").memory, 0U);
  EXPECT_EQ(CounterReader({}).read("/").cpu, 0U);
}

TEST_F(CountersTest, ChildrenAreFoundByTheirIds) {
  put("v2/pod/cri-containerd-0a1b.scope/cgroup.procs", "");
  const CounterReader reader({hierarchy("v2", {})});
  EXPECT_EQ(reader.find("/pod", "0a1b"), "/pod/cri-containerd-0a1b.scope");
  EXPECT_EQ(reader.find("/pod", "ffff"), "");
  EXPECT_EQ(reader.find("/absent", "0a1b"), "");
  put("v2/pod/cgroup.procs", "3\n");
  put("v2/pod/cri-containerd-0a1b.scope/cgroup.procs", "2\n");
  EXPECT_THAT(reader.members("/pod"), testing::ElementsAre(2, 3));
}

}  // namespace
}  // namespace keelson::cgroup
