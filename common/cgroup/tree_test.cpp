// SPDX-License-Identifier: Apache-2.0
// Layouts, and what is written where: v1, hybrid and v2 as folders of plain files.
#include "common/cgroup/tree.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "common/fd.h"

namespace keelson::cgroup {

namespace fs = std::filesystem;
using testing::ElementsAre;

namespace {

constexpr std::string_view kHybrid =
    "24 1 8:1 / / rw - ext4 /dev/vda rw\n"
    "30 24 0:20 / /sys/fs/cgroup rw shared:1 - tmpfs tmpfs rw\n"
    "31 30 0:21 / /sys/fs/cgroup/cpu,cpuacct rw shared:2 master:1 - cgroup cgroup rw,cpu,cpuacct\n"
    "32 30 0:22 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
    "33 30 0:23 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n"
    "90 24 0:21 /kubepods /elsewhere rw - cgroup cgroup rw,cpu,cpuacct\n";

class TreeTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = (fs::temp_directory_path() / "keelson-cgroup-XXXXXX").string();
    ASSERT_NE(::mkdtemp(dir_.data()), nullptr);
  }
  void TearDown() override { fs::remove_all(dir_); }

  /// A hierarchy with the group "/a", in which these files are.
  Hierarchy hierarchy(const std::string& name, std::vector<std::string> controllers,
                      const std::vector<std::string>& files) {
    fs::create_directories(dir_ + "/" + name + "/a");
    for (const auto& file : files) {
      std::ofstream(dir_ + "/" + name + "/a/" + file);
    }
    const bool second = controllers.empty();
    return {.root = dir_ + "/" + name, .controllers = std::move(controllers), .second = second};
  }
  std::string text(const std::string& file) { return read_file(dir_ + "/" + file).value_or("absent"); }
  void put(const std::string& file, const std::string& value) { std::ofstream(dir_ + "/" + file) << value; }

  std::string dir_;
};

}  // namespace

TEST(Hierarchies, AreReadFromMountinfoEachOnce) {
  const auto found = parse_hierarchies(kHybrid);
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].root, "/sys/fs/cgroup/cpu,cpuacct");
  EXPECT_THAT(found[0].controllers, ElementsAre("rw", "cpu", "cpuacct"));
  EXPECT_EQ(found[1].controllers.back(), "name=systemd");
  EXPECT_TRUE(found[2].second);
  EXPECT_TRUE(found[2].controllers.empty());
}

TEST(Hierarchies, NoneOfOtherFileSystems) {
  EXPECT_TRUE(parse_hierarchies("24 1 8:1 / / rw - ext4 /dev/vda rw\nnonsense\n").empty());
}

TEST(Weights, FollowTheCurve) {
  EXPECT_EQ(cpu_weight_of_shares(0), 0u);
  EXPECT_EQ(cpu_weight_of_shares(2), 1u);
  EXPECT_EQ(cpu_weight_of_shares(1024), 100u);
  EXPECT_EQ(cpu_weight_of_shares(262144), 10000u);
}

TEST_F(TreeTest, TheFirstVersionHasItsFiles) {
  const Tree tree({hierarchy("cpu", {"cpu", "cpuacct"}, {"cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us"}),
                   hierarchy("memory", {"memory"}, {"memory.limit_in_bytes", "memory.memsw.limit_in_bytes"}),
                   hierarchy("pids", {"pids"}, {"pids.max"})});
  ASSERT_TRUE(tree.apply("/a", {.cpu_shares = 512,
                                .cpu_quota = -1,
                                .cpu_period = 50000,
                                .memory = 100,
                                .memory_swap = 150,
                                .processes = 7,
                                .unified = {{"memory.high", "1"}}}));
  EXPECT_EQ(text("cpu/a/cpu.shares"), "512");
  EXPECT_EQ(text("cpu/a/cpu.cfs_period_us"), "50000");
  EXPECT_EQ(text("cpu/a/cpu.cfs_quota_us"), "-1");
  EXPECT_EQ(text("memory/a/memory.limit_in_bytes"), "100");
  EXPECT_EQ(text("memory/a/memory.memsw.limit_in_bytes"), "150");
  EXPECT_EQ(text("pids/a/pids.max"), "7");
  EXPECT_FALSE(tree.unified());
}

TEST_F(TreeTest, TheSecondVersionHasItsOwn) {
  const Tree tree({hierarchy("v2", {},
                             {"cpu.weight", "cpu.max", "cpuset.cpus", "memory.max", "memory.swap.max",
                              "memory.oom.group", "pids.max", "hugetlb.2MB.max", "memory.high"})});
  ASSERT_TRUE(tree.unified());
  ASSERT_TRUE(tree.apply("/a", {.cpu_shares = 1024,
                                .cpu_quota = 50000,
                                .cpuset_cpus = "0-1",
                                .memory = 100,
                                .memory_swap = 150,
                                .processes = -1,
                                .huge_pages = {{"2MB", 4096}, {"16GB", 1}},
                                .unified = {{"memory.high", "90"}, {"memory.oom.group", "1"}}}));
  EXPECT_EQ(text("v2/a/cpu.weight"), "100");
  EXPECT_EQ(text("v2/a/cpu.max"), "50000 100000");
  EXPECT_EQ(text("v2/a/cpuset.cpus"), "0-1");
  EXPECT_EQ(text("v2/a/memory.max"), "100");
  EXPECT_EQ(text("v2/a/memory.swap.max"), "50");
  EXPECT_EQ(text("v2/a/memory.oom.group"), "1");
  EXPECT_EQ(text("v2/a/pids.max"), "max");
  EXPECT_EQ(text("v2/a/hugetlb.2MB.max"), "4096");
  EXPECT_EQ(text("v2/a/memory.high"), "90");
}

TEST_F(TreeTest, NoLimitOfMemoryIsNoneOfSwapEither) {
  const Tree tree({hierarchy("v2", {}, {"memory.max", "memory.swap.max"})});
  ASSERT_TRUE(tree.apply("/a", {.memory = -1, .memory_swap = -1}));
  EXPECT_EQ(text("v2/a/memory.max"), "max");
  EXPECT_EQ(text("v2/a/memory.swap.max"), "max");
}

TEST_F(TreeTest, OnAHybridNodeEachControllerIsWhereItIs) {
  const Tree tree({hierarchy("memory", {"memory"}, {"memory.limit_in_bytes", "memory.oom_control"}),
                   hierarchy("unified", {}, {"hugetlb.2MB.max", "pids.max", "memory.max"})});
  EXPECT_FALSE(tree.unified());
  ASSERT_TRUE(tree.apply("/a", {.memory = 100, .processes = 5, .huge_pages = {{"2MB", 4096}}}));
  EXPECT_EQ(text("memory/a/memory.limit_in_bytes"), "100");
  EXPECT_EQ(text("unified/a/memory.max"), "");
  EXPECT_EQ(text("unified/a/pids.max"), "5");
  EXPECT_EQ(text("unified/a/hugetlb.2MB.max"), "4096");
  put("memory/a/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
  EXPECT_EQ(tree.oom_kills("/a"), 3u);
  EXPECT_THAT(tree.procs_files("/a"), ElementsAre(dir_ + "/memory/a/tasks", dir_ + "/unified/a/cgroup.procs"));
}

TEST_F(TreeTest, AMissingControllerIsNamedOrPassedOver) {
  const Tree tree({hierarchy("v2", {}, {})});
  auto refused = tree.apply("/a", {.processes = 5});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), Kind::unsupported);
  EXPECT_THAT(refused.error().message(), testing::HasSubstr("pids.max"));
  EXPECT_TRUE(tree.apply("/a", {.cpu_shares = 2, .memory = -1, .processes = 5}, Missing::passed_over));
}

TEST_F(TreeTest, AFileOfUnifiedIsAName) {
  const Tree tree({hierarchy("v2", {}, {})});
  auto refused = tree.apply("/a", {.unified = {{"../b/memory.max", "1"}}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), Kind::invalid);
}

TEST_F(TreeTest, UsageOfTheSecondVersion) {
  const Tree tree({hierarchy("v2", {}, {})});
  put("v2/a/cpu.stat", "usage_usec 12\nuser_usec 5\n");
  put("v2/a/memory.current", "1000\n");
  put("v2/a/memory.max", "max\n");
  put("v2/a/memory.stat", "anon 300\ninactive_file 400\npgfault 5\n");
  put("v2/a/memory.events", "max 8\noom 1\noom_kill 2\n");
  const auto usage = tree.usage("/a");
  EXPECT_EQ(usage.cpu_nanoseconds, 12000u);
  EXPECT_EQ(usage.memory, 1000u);
  EXPECT_EQ(usage.memory_limit, 0u);
  EXPECT_EQ(usage.working_set, 600u);
  EXPECT_EQ(usage.anonymous, 300u);
  EXPECT_EQ(usage.page_faults, 5u);
  EXPECT_EQ(tree.oom_kills("/a"), 2u);
  EXPECT_EQ(tree.oom_kills("/b"), 0u);
}

TEST(NoTree, DoesNothing) {
  const Tree tree({});
  EXPECT_TRUE(tree.create("/a"));
  EXPECT_TRUE(tree.kill_and_remove("/a"));
  EXPECT_TRUE(tree.apply("/a", {.cpu_shares = 2}, Missing::passed_over));
}

}  // namespace keelson::cgroup
