// SPDX-License-Identifier: Apache-2.0
// Names and properties of systemd's units.
#include <gmock/gmock.h>

#include "common/cgroup/unit_name.h"
#include "common/cgroup/unit_properties.h"

namespace keelson::cgroup {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

namespace {

using Devices = std::vector<std::pair<std::string, std::string>>;

std::vector<UnitProperty> properties(const Limits& limits, bool unified) {
  auto made = properties_of(limits, unified);
  EXPECT_TRUE(made) << made.error().message();
  return made ? *made : std::vector<UnitProperty>();
}

}  // namespace

TEST(UnitNames, SlicesTellTheirPath) {
  EXPECT_EQ(slice_path("a-b-c.slice"), "/a.slice/a-b.slice/a-b-c.slice");
  EXPECT_EQ(slice_path("system.slice"), "/system.slice");
  EXPECT_EQ(slice_path("-.slice"), "");
  EXPECT_EQ(parent_path("", "/keelson"), "/keelson");
  EXPECT_EQ(parent_path("/kubepods/pod1", "/k"), "/kubepods/pod1");
  EXPECT_EQ(parent_path("kubepods/pod1", "/k"), "/kubepods/pod1");
  EXPECT_EQ(parent_path("kubepods-burstable-pod1.slice", "/k"),
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice");
}

TEST(UnitNames, NestedNamesAreAsTheKubelets) {
  EXPECT_EQ(nested_path(Driver::cgroupfs, {"/", "kubepods", "", "pod1-2"}), "/kubepods/pod1-2");
  EXPECT_EQ(nested_path(Driver::cgroupfs, {"/a/b", "kubepods"}), "/a/b/kubepods");
  EXPECT_EQ(nested_path(Driver::systemd, {"/", "kubepods", "burstable", "pod1-2"}),
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice");
  EXPECT_EQ(nested_path(Driver::systemd, {"/a/b", "kubepods"}), "/a.slice/a-b.slice/a-b-kubepods.slice");
  EXPECT_EQ(nested_path(Driver::systemd, {"/"}), "");
}

TEST(UnitNames, AUnitIsThePathsLastPart) {
  EXPECT_EQ(unit_of("/a.slice/a-b.slice/keelson-1.scope"), "keelson-1.scope");
  EXPECT_EQ(slice_of("/a.slice/a-b.slice/keelson-1.scope"), "a-b.slice");
  EXPECT_EQ(slice_of("/a.slice"), "-.slice");
}

TEST(UnitProperties, OfTheFirstVersion) {
  const Limits limits{.cpu_shares = 512,
                      .cpu_quota = 50'000,
                      .cpu_period = 100'000,
                      .cpuset_cpus = "0",
                      .memory = 100,
                      .memory_swap = 150,
                      .processes = 7,
                      .unified = {{"memory.high", "1"}}};
  EXPECT_THAT(
      properties(limits, false),
      ElementsAre(UnitProperty{"CPUShares", uint64_t{512}}, UnitProperty{"CPUQuotaPeriodUSec", uint64_t{100'000}},
                  UnitProperty{"CPUQuotaPerSecUSec", uint64_t{500'000}}, UnitProperty{"MemoryLimit", uint64_t{100}},
                  UnitProperty{"TasksMax", uint64_t{7}}));
}

TEST(UnitProperties, OfTheSecondVersion) {
  const Limits limits{.cpu_shares = 1024,
                      .cpu_quota = -1,
                      .cpuset_cpus = "0-1,9",
                      .cpuset_mems = "0",
                      .memory = 100,
                      .memory_swap = 150,
                      .processes = -1};
  EXPECT_THAT(
      properties(limits, true),
      ElementsAre(UnitProperty{"CPUWeight", uint64_t{100}}, UnitProperty{"CPUQuotaPerSecUSec", kInfinity},
                  UnitProperty{"AllowedCPUs", std::vector<uint8_t>{3, 2}},
                  UnitProperty{"AllowedMemoryNodes", std::vector<uint8_t>{1}}, UnitProperty{"MemoryMax", uint64_t{100}},
                  UnitProperty{"MemorySwapMax", uint64_t{50}}, UnitProperty{"TasksMax", kInfinity}));
}

TEST(UnitProperties, NoLimitsAreNone) {
  EXPECT_THAT(properties({}, true), IsEmpty());
  EXPECT_THAT(properties({.memory = -1, .memory_swap = -1}, true),
              ElementsAre(UnitProperty{"MemoryMax", kInfinity}, UnitProperty{"MemorySwapMax", kInfinity}));
}

TEST(UnitProperties, FilesThatSystemdKnows) {
  const Limits limits{.unified = {{"cpu.max", "20000 100000"},
                                  {"cpu.weight", "7"},
                                  {"cpuset.mems", "0-1"},
                                  {"hugetlb.2MB.max", "4096"},
                                  {"memory.high", "max"},
                                  {"pids.max", "9"}}};
  EXPECT_THAT(properties(limits, true),
              ElementsAre(UnitProperty{"CPUQuotaPeriodUSec", uint64_t{100'000}},
                          UnitProperty{"CPUQuotaPerSecUSec", uint64_t{200'000}}, UnitProperty{"CPUWeight", uint64_t{7}},
                          UnitProperty{"AllowedMemoryNodes", std::vector<uint8_t>{3}},
                          UnitProperty{"MemoryHigh", kInfinity}, UnitProperty{"TasksMax", uint64_t{9}}));
  for (const auto& [file, value] : std::map<std::string, std::string>{
           {"cpu.max", "1 2 3"}, {"cpu.max", "1 0"}, {"memory.max", "10M"}, {"cpuset.cpus", "3-1"}}) {
    const auto refused = properties_of({.unified = {{file, value}}}, true);
    ASSERT_FALSE(refused) << file;
    EXPECT_EQ(refused.error().kind(), Kind::invalid);
    EXPECT_THAT(refused.error().message(), HasSubstr(file));
  }
}

TEST(UnitProperties, QuotasAreRoundedUpToHundredths) {
  const Limits limits{.cpu_quota = 12'345, .cpu_period = 100'000};
  EXPECT_THAT(properties(limits, true), Contains(UnitProperty{"CPUQuotaPerSecUSec", uint64_t{130'000}}));
  EXPECT_EQ(rounded_for_systemd(limits).cpu_quota, 13'000);
  EXPECT_EQ(rounded_for_systemd({.cpu_quota = 20'000}).cpu_quota, 20'000);
  EXPECT_EQ(rounded_for_systemd({.cpu_quota = -1}).cpu_quota, -1);
}

TEST(UnitProperties, DevicesAreAListAfterAnEmptyOne) {
  EXPECT_THAT(device_properties({"c *:* m", "b 8:0 rw", "c 136:* rwm", "c *:3 rw"}),
              ElementsAre(UnitProperty{"DeviceAllow", Devices()}, UnitProperty{"DevicePolicy", std::string("strict")},
                          UnitProperty{"DeviceAllow",
                                       Devices{{"char-*", "m"}, {"/dev/block/8:0", "rw"}, {"char-136", "rwm"}}}));
  EXPECT_THAT(device_properties({"c 1:3 rwm", "a"}), Contains(UnitProperty{"DevicePolicy", std::string("auto")}));
}

TEST(UnitProperties, RightsToADeviceAddUp) {
  EXPECT_EQ(std::get<Devices>(device_properties({"c 5:0 rm", "c 1:3 r", "c 5:0 rw"}).back().value),
            (Devices{{"/dev/char/5:0", "rmw"}, {"/dev/char/1:3", "r"}}));
}

TEST(Bits, OfLists) {
  EXPECT_EQ(*bits_of("0-2,8"), (std::vector<uint8_t>{7, 1}));
  EXPECT_FALSE(bits_of("x"));
  EXPECT_FALSE(bits_of("0-99999999"));
}

}  // namespace keelson::cgroup
