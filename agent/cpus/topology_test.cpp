// SPDX-License-Identifier: Apache-2.0
// What the kernel tells of CPUs, and what is asked of it.
#include "agent/cpus/topology.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "agent/cpus/test_machines.h"

namespace keelson::cpus {
namespace {

namespace fs = std::filesystem;

class ReadTopologyTest : public ::testing::Test {
 protected:
  ReadTopologyTest() {
    char path[] = "/tmp/keelson-cpus-XXXXXX";
    root_ = ::mkdtemp(path);
  }
  ~ReadTopologyTest() override { fs::remove_all(root_); }

  void write(const std::string& file, const std::string& text) {
    const fs::path path = root_ + "/sys/devices/system/" + file;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text << "\n";
  }
  void write_cpu(int cpu, int socket, const std::string& threads) {
    write(fmt::format("cpu/cpu{}/topology/physical_package_id", cpu), std::to_string(socket));
    write(fmt::format("cpu/cpu{}/topology/thread_siblings_list", cpu), threads);
  }
  void write_cache(int cpu, int level, int id, const std::string& cpus) {
    const auto folder = fmt::format("cpu/cpu{}/cache/index{}/", cpu, level);
    write(folder + "level", std::to_string(level));
    write(folder + "id", std::to_string(id));
    write(folder + "shared_cpu_list", cpus);
  }

  std::string root_;
};

TEST_F(ReadTopologyTest, CoresSocketsAndNodes) {
  write("cpu/online", "0-7");
  for (int cpu = 0; cpu < 8; ++cpu) {
    write_cpu(cpu, cpu % 4 / 2, fmt::format("{},{}", cpu % 4, cpu % 4 + 4));
    write_cache(cpu, 3, cpu % 4 / 2, cpu % 4 < 2 ? "0-1,4-5" : "2-3,6-7");
  }
  write("node/node0/cpulist", "0-1,4-5");
  write("node/node1/cpulist", "2-3,6-7");
  const auto read = read_topology(root_);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->places(), machine(8,
                                    [](int cpu) {
                                      const int half = cpu % 4 / 2;
                                      return CpuPlace{.numa = half, .socket = half, .core = cpu % 4, .uncore = half};
                                    })
                                .places())
      << "a cache of the whole node is nobody's own";
}

TEST_F(ReadTopologyTest, CachesOfAPartOfANodeAreTheirOwn) {
  write("cpu/online", "0-3");
  for (int cpu = 0; cpu < 4; ++cpu) {
    write_cpu(cpu, 0, std::to_string(cpu));
    write_cache(cpu, 2, cpu, std::to_string(cpu));
    write_cache(cpu, 3, 8 + cpu / 2, cpu < 2 ? "0-1" : "2-3");
  }
  write("node/node0/cpulist", "0-3");
  EXPECT_EQ(read_topology(root_)->ids(&CpuPlace::uncore), CpuSet({8, 9}));
  EXPECT_EQ(read_topology(root_)->cpus_in(&CpuPlace::uncore, 9), CpuSet({2, 3}));
}

TEST_F(ReadTopologyTest, WhatIsOfflineIsNotThere) {
  write("cpu/online", "0,2");
  for (int cpu = 0; cpu < 4; ++cpu) {
    write_cpu(cpu, 0, cpu < 2 ? "0-1" : "2-3");
  }
  write("node/node0/cpulist", "0-3");
  const auto read = read_topology(root_);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->cpus(), CpuSet({0, 2}));
  EXPECT_EQ(read->ids(&CpuPlace::core), CpuSet({0, 2}));
}

TEST_F(ReadTopologyTest, AKernelThatTellsLittle) {
  write("cpu/online", "0-1");
  const auto read = read_topology(root_);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->places(), machine(2, [](int cpu) { return CpuPlace{.core = cpu}; }).places());
}

TEST_F(ReadTopologyTest, WithoutCpusThereIsNone) {
  EXPECT_EQ(read_topology(root_).error().kind(), Kind::not_found);
  write("cpu/online", "");
  EXPECT_EQ(read_topology(root_).error().kind(), Kind::invalid);
  write("cpu/online", "some");
  EXPECT_EQ(read_topology(root_).error().kind(), Kind::invalid);
}

TEST(Topology, OfThisMachineIsRead) {
  const auto read = read_topology("");
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_FALSE(read->cpus().empty());
  EXPECT_GE(read->cpus_per_core(), 1);
}

TEST(Topology, WhatIsInWhat) {
  const auto machine = dual_socket_ht();
  EXPECT_EQ(machine.cpus_in(&CpuPlace::socket, 1), CpuSet({1, 3, 5, 7, 9, 11}));
  EXPECT_EQ(machine.ids_in(&CpuPlace::core, &CpuPlace::socket, 1), CpuSet({1, 3, 5}));
  EXPECT_EQ(machine.cpus_in(&CpuPlace::core, CpuSet({0, 2})), CpuSet({0, 2, 6, 8}));
  EXPECT_EQ(machine.only(CpuSet({0, 1, 99})).cpus(), CpuSet({0, 1}));
  EXPECT_EQ(machine.cpus_per_core(), 2);
  EXPECT_EQ(machine.cpus_per(&CpuPlace::numa), 6);
  EXPECT_EQ(Topology().cpus_per_core(), 0);
}

TEST(Topology, CpusBelowOneCacheAreAligned) {
  const auto machine = uncore_smt();
  EXPECT_TRUE(machine.aligned_at_uncore(CpuSet()));
  EXPECT_TRUE(machine.aligned_at_uncore(CpuSet({0})));
  EXPECT_TRUE(machine.aligned_at_uncore(CpuSet({0, 3, 8, 11})));
  EXPECT_FALSE(machine.aligned_at_uncore(CpuSet({3, 4})));
  EXPECT_FALSE(machine.aligned_at_uncore(CpuSet({0, 99})));
}

}  // namespace
}  // namespace keelson::cpus
