// SPDX-License-Identifier: Apache-2.0
// A machine read from a folder of files as the kernel writes them.
#include "agent/node/machine.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace keelson::agent {
namespace {

namespace fs = std::filesystem;

class MachineTest : public ::testing::Test {
 protected:
  MachineTest() {
    std::string pattern = "/tmp/keelson-machine-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
  }
  ~MachineTest() override { fs::remove_all(root_); }
  void write(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  std::string root_;
};

TEST_F(MachineTest, IsReadFromTheKernelsFiles) {
  write("/etc/machine-id", "0123456789abcdef\n");
  write("/sys/class/dmi/id/product_uuid", "ABCD-EF01\n");
  write("/proc/sys/kernel/random/boot_id", "b-1\n");
  write("/etc/os-release", "NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n");
  write("/sys/devices/system/cpu/online", "0-2,5\n");
  write("/proc/meminfo",
        "MemTotal:       16000000 kB\nMemFree:         3000000 kB\nMemAvailable:    9000000 kB\nInactive:        1 kB\n"
        "Inactive(file):  2000000 kB\nSwapTotal:           1024 kB\n");
  write("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "3\n");
  write("/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "0\n");
  write("/proc/sys/kernel/pid_max", "4194304\n");
  write("/proc/sys/kernel/threads-max", "1000\n");
  write("/proc/loadavg", "0.10 0.20 0.30 2/345 6789\n");
  const auto machine = read_machine(root_, root_);
  EXPECT_EQ(machine.machine_id, "0123456789abcdef");
  EXPECT_EQ(machine.system_uuid, "abcd-ef01");
  EXPECT_EQ(machine.boot_id, "b-1");
  EXPECT_EQ(machine.os_image, "Debian GNU/Linux 12 (bookworm)");
  EXPECT_EQ(machine.cpus, 4);
  EXPECT_EQ(machine.memory, int64_t{16'000'000} * 1024);
  EXPECT_EQ(machine.memory_available, int64_t{5'000'000} * 1024);
  EXPECT_EQ(machine.swap, 1024 * 1024);
  EXPECT_EQ(machine.huge_pages, (std::map<int64_t, int64_t>{{2 << 20, 6 << 20}, {1 << 30, 0}}));
  EXPECT_EQ(machine.processes, 1000);
  EXPECT_EQ(machine.processes_available, 655);
  EXPECT_GT(machine.storage, 0);
  EXPECT_GE(machine.storage, machine.storage_available);
  EXPECT_FALSE(machine.kernel_version.empty());
}

TEST_F(MachineTest, WhatIsNotThereIsEmpty) {
  write("/var/lib/dbus/machine-id", "from-dbus\n");
  const auto machine = read_machine(root_, root_ + "/absent");
  EXPECT_EQ(machine.machine_id, "from-dbus");
  EXPECT_EQ(machine.system_uuid, "from-dbus") << "as without DMI";
  EXPECT_EQ(machine.os_image, "Unknown");
  EXPECT_EQ(machine.memory, 0);
  EXPECT_EQ(machine.cpus, 0);
  EXPECT_EQ(machine.storage, 0);
}

TEST_F(MachineTest, ThisOneHasSomeOfEach) {
  const auto machine = read_machine("", "/tmp");
  EXPECT_GT(machine.cpus, 0);
  EXPECT_GT(machine.memory, 0);
  EXPECT_GT(machine.memory_available, 0);
  EXPECT_GT(machine.processes_available, 0);
  EXPECT_FALSE(machine.boot_id.empty());
}

}  // namespace
}  // namespace keelson::agent
