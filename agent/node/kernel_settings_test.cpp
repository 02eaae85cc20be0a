// SPDX-License-Identifier: Apache-2.0
// A machine's settings in a folder of files as the kernel has them.
#include "agent/node/kernel_settings.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "common/fd.h"

namespace keelson::agent {
namespace {

namespace fs = std::filesystem;

class KernelSettingsTest : public ::testing::Test {
 protected:
  KernelSettingsTest() {
    std::string pattern = "/tmp/keelson-kernel-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    write("/proc/sys/vm/overcommit_memory", "0\n");
    write("/proc/sys/vm/panic_on_oom", "0\n");
    write("/proc/sys/kernel/panic", "0\n");
    write("/proc/sys/kernel/panic_on_oops", "1\n");
    write("/proc/sys/kernel/keys/root_maxkeys", "1000000\n");
    write("/proc/sys/kernel/keys/root_maxbytes", "25000000\n");
  }
  ~KernelSettingsTest() override { fs::remove_all(root_); }
  void write(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  std::string value(const std::string& path) {
    auto text = read_file(root_ + path).value_or("none");
    return text.substr(0, text.find('\n'));
  }
  std::string root_;
};

TEST_F(KernelSettingsTest, AreSetOrRequiredOrLeft) {
  EXPECT_EQ(apply_kernel_settings(root_, KernelSettings::require).error().message(),
            "protectKernelDefaults: vm.overcommit_memory is 0, not 1, kernel.panic is 0, not 10; set them with sysctl");
  ASSERT_TRUE(apply_kernel_settings(root_, KernelSettings::leave));
  EXPECT_EQ(value("/proc/sys/kernel/panic"), "0");
  ASSERT_TRUE(apply_kernel_settings(root_, KernelSettings::set));
  EXPECT_EQ(value("/proc/sys/vm/overcommit_memory"), "1");
  EXPECT_EQ(value("/proc/sys/kernel/panic"), "10");
  EXPECT_TRUE(apply_kernel_settings(root_, KernelSettings::require));
}

TEST_F(KernelSettingsTest, SwapIsRefusedByWhereItIs) {
  EXPECT_TRUE(refuse_swap(root_)) << "a kernel without swap has no such file";
  write("/proc/swaps", "Filename\t\t\t\tType\t\tSize\tUsed\tPriority\n");
  EXPECT_TRUE(refuse_swap(root_));
  write("/proc/swaps",
        "Filename\t\t\t\tType\t\tSize\tUsed\tPriority\n/dev/sda2 partition\t8\t0\t-2\n/swap file\t8\t0\t-3\n");
  EXPECT_EQ(refuse_swap(root_).error().message(),
            "running with swap on is not supported: /dev/sda2, /swap; disable it (swapoff -a), or set failSwapOn to "
            "false (--fail-swap-on=false)");
}

}  // namespace
}  // namespace keelson::agent
