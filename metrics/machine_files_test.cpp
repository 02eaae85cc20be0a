// SPDX-License-Identifier: Apache-2.0
// What is read of /proc and /sys.
#include "metrics/machine_files.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "common/fd.h"

namespace keelson::metrics {
namespace {

namespace fs = std::filesystem;

TEST(BlockDevices, AreReadFromDiskstats) {
  const auto devices = parse_block_devices(
      "   8       0 sda 100 0 800 50 200 0 1600 90 0 1234 140 0 0 0 0\n"
      "   8       1 sda1 1 2\n"
      " 259       3 nvme0n1p3 1 2 3 4 5 6 7 8 9 10 11\n");
  ASSERT_EQ(devices.size(), 2U) << "a line that ends early tells nothing";
  EXPECT_EQ(devices.at({8, 0}).name, "sda");
  EXPECT_EQ(devices.at({8, 0}).busy, std::chrono::milliseconds(1234));
  const auto& other = devices.at({259, 3});
  EXPECT_EQ(other.reads.merged, 2U);
  EXPECT_EQ(other.reads.sectors, 3U);
  EXPECT_EQ(other.reads.time, std::chrono::milliseconds(4));
  EXPECT_EQ(other.writes.merged, 6U);
  EXPECT_EQ(other.writes.sectors, 7U);
  EXPECT_EQ(other.writes.time, std::chrono::milliseconds(8));
  EXPECT_EQ(other.in_progress, 9U);
  EXPECT_EQ(other.weighted, std::chrono::milliseconds(11));
  EXPECT_EQ(devices.at({259, 3}).name, "nvme0n1p3");
}

TEST(Topology, CountsCoresAndSocketsOnce) {
  std::string pattern = "/tmp/keelson-topology-XXXXXX";
  const std::string folder = ::mkdtemp(pattern.data());
  const std::pair<const char*, const char*> cpus[] = {{"0", "0"}, {"0", "0"}, {"0", "1"}, {"1", "0"}};
  for (int i = 0; i < 4; ++i) {
    const auto own = folder + "/cpu" + std::to_string(i) + "/topology";
    fs::create_directories(own);
    std::ofstream(own + "/physical_package_id") << cpus[i].first << "\n";
    std::ofstream(own + "/core_id") << cpus[i].second << "\n";
  }
  fs::create_directories(folder + "/cpufreq");
  EXPECT_EQ(read_topology(folder), std::pair(3U, 2U));
  EXPECT_EQ(read_topology(folder + "/absent"), std::pair(0U, 0U));
  fs::remove_all(folder);
}

TEST(CgroupOfAProcess, IsOneForCpuAndMemory) {
  EXPECT_EQ(parse_cgroup("0::/system.slice/keelson.service\n"), "/system.slice/keelson.service");
  EXPECT_EQ(parse_cgroup("4:memory:/a\n3:cpu,cpuacct:/a\n1:name=systemd:/b\n0::/\n"), "/a");
  EXPECT_EQ(parse_cgroup("4:memory:/a\n3:cpu:/b\n"), "") << "nobody's numbers";
  EXPECT_EQ(parse_cgroup("0::/\n"), "") << "the whole machine is not one process";
  EXPECT_EQ(parse_cgroup(""), "");
}

TEST(Processes, TellTheirFilesAndStart) {
  ProcessUse before;
  add_files(::getpid(), before);
  const Fd one(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const Fd other(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  ProcessUse after;
  add_files(::getpid(), after);
  EXPECT_EQ(after.files, before.files + 2);
  EXPECT_EQ(after.sockets, before.sockets + 1);
  EXPECT_EQ(most_files_of(::getpid()), ::sysconf(_SC_OPEN_MAX));
  const WallTime booted{std::chrono::seconds(1000)};
  EXPECT_GT(start_of(::getpid(), booted), booted);
  EXPECT_LE(start_of(::getppid(), booted), start_of(::getpid(), booted));
  EXPECT_EQ(start_of(-1, booted), WallTime());
}

}  // namespace
}  // namespace keelson::metrics
