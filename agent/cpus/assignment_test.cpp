// SPDX-License-Identifier: Apache-2.0
// Which CPUs are taken, on the machines and with the answers of the kubelet's tests (cpu_assignment_test.go of 1.34).
#include "agent/cpus/assignment.h"

#include <gtest/gtest.h>

#include "agent/cpus/test_machines.h"

namespace keelson::cpus {
namespace {

std::string text_of(const Result<CpuSet>& taken) {
  return taken ? taken->to_string() : taken.error().message();
}

std::string packed(const Topology& machine, const char* available, int count, Threads threads = Threads::packed,
                   Caches caches = Caches::any) {
  return text_of(take_packed(machine, CpuSet::parse(available).value(), count, threads, caches));
}
std::string spread(const Topology& machine, const char* available, int count) {
  return packed(machine, available, count, Threads::spread);
}
std::string by_cache(const Topology& machine, const char* available, int count) {
  return packed(machine, available, count, Threads::packed, Caches::preferred);
}
std::string distributed(const Topology& machine, const char* available, int count, int group = 1) {
  return text_of(take_distributed(machine, CpuSet::parse(available).value(), count, group, Threads::packed));
}

// Both ways have the same answers where one NUMA node does.
class EitherWay : public ::testing::TestWithParam<bool> {
 protected:
  std::string take(const Topology& machine, const char* available, int count) const {
    return GetParam() ? distributed(machine, available, count) : packed(machine, available, count);
  }
};
INSTANTIATE_TEST_SUITE_P(Assignment, EitherWay, ::testing::Bool());

TEST_P(EitherWay, ThreadsAndCoresOfOneSocket) {
  const auto one = single_socket_ht();
  EXPECT_EQ(take(one, "0,2,4,6", 5), "not enough cpus available to satisfy request: requested=5, available=4");
  EXPECT_EQ(take(one, "0-7", 0), "");
  EXPECT_EQ(take(one, "0-7", 1), "0");
  EXPECT_EQ(take(one, "1,3,5-7", 1), "6") << "the rest of a core, before another is begun";
  EXPECT_EQ(take(one, "0-7", 2), "0,4");
  EXPECT_EQ(take(one, "0-7", 8), "0-7");
  EXPECT_EQ(take(one, "0-3,6", 2), "2,6") << "the only whole core";
}

TEST_P(EitherWay, WholeSocketsAndNodes) {
  EXPECT_EQ(take(dual_socket_ht(), "0-11", 6), "0,2,4,6,8,10");
  const auto large = dual_socket_multi_numa_ht();
  EXPECT_EQ(take(large, "0-79", 40), "0-19,40-59");
  EXPECT_EQ(take(large, "0-79", 20), "0-9,40-49");
  EXPECT_EQ(take(large, "10-39,50-79", 20), "10-19,50-59");
  EXPECT_EQ(take(large, "0-79", 60), "0-29,40-69");
  EXPECT_EQ(take(large, "1-39,41-79", 60), "10-39,50-79") << "a core of the first node is taken";
}

TEST(TakePacked, TheFullestFirst) {
  EXPECT_EQ(packed(dual_socket_ht(), "1-5,7-11", 1), "2");
  EXPECT_EQ(packed(dual_socket_ht(), "0-11", 8), "0-2,4,6-8,10");
  EXPECT_EQ(packed(dual_socket_multi_numa_ht(), "0-79", 64), "0-31,40-71");
}

TEST(TakePacked, AsFewCachesAsCanBe) {
  EXPECT_EQ(by_cache(uncore_no_smt(), "1-15", 10), "1-2,4-11");
  EXPECT_EQ(by_cache(dual_socket_ht(), "1-5,7-11", 1), "1");
  EXPECT_EQ(by_cache(uncore_dual_socket_no_smt(), "0-15", 4), "0-3");
  EXPECT_EQ(by_cache(uncore_dual_socket_no_smt(), "2-15", 6), "2-7");
  EXPECT_EQ(by_cache(uncore_dual_socket_no_smt(), "8-15", 4), "8-11");
  EXPECT_EQ(by_cache(uncore_multi_numa(), "3-8,12", 2), "4-5");
  EXPECT_EQ(by_cache(uncore_smt(), "2-7,10-15", 6), "4-6,12-14");
  EXPECT_EQ(by_cache(uncore_smt(), "1-7,9-15", 10), "1,4-7,9,12-15");
}

TEST(TakePacked, AThreadOfEachCore) {
  EXPECT_EQ(spread(single_socket_ht(), "0-7", 3), "0-2");
  EXPECT_EQ(spread(dual_socket_ht(), "0-11", 2), "0,2");
  EXPECT_EQ(spread(dual_socket_ht(), "0-11", 3), "0,2,4");
  EXPECT_EQ(spread(dual_socket_ht(), "0-11", 6), "0,2,4,6,8,10");
  EXPECT_EQ(spread(dual_socket_ht(), "0-11", 8), "0-4,6,8,10");
  EXPECT_EQ(spread(dual_socket_no_ht(), "0-7", 2), "0-1");
  EXPECT_EQ(spread(dual_socket_multi_numa_ht(), "0-79", 8), "0-7");
}

// A kubelet takes CPU 8 with CPU 16, for all cores are counted as one thread.
TEST(TakePacked, NothingOfOthersWhereCoresAreNotAlike) {
  EXPECT_EQ(packed(unlike_cores(), "0,9,16-17", 4), "0,9,16-17");
  EXPECT_EQ(packed(unlike_cores(), "9,16-17", 2), "9,17");
}

TEST(TakeDistributed, InEqualPartsFromEachNode) {
  const auto large = dual_socket_multi_numa_ht();
  EXPECT_EQ(distributed(dual_socket_ht(), "0-11", 8), "0-3,6-9");
  EXPECT_EQ(distributed(large, "0-79", 64), "0-7,10-17,20-27,30-37,40-47,50-57,60-67,70-77");
  EXPECT_EQ(distributed(large, "0-79", 48), "0-7,10-17,20-27,40-47,50-57,60-67");
  EXPECT_EQ(distributed(large, "1-29,32-39,41-69,72-79", 48), "1-8,10-17,20-27,41-48,50-57,60-67");
  EXPECT_EQ(distributed(large, "2-29,31-39,42-69,71-79", 48), "10-17,20-27,31-38,50-57,60-67,71-78");
  EXPECT_EQ(distributed(large, "0-2,10-12,20-22,30-32,40-41,50-51,60-61,70-71", 16),
            "0-1,10-11,20-21,30-31,40-41,50-51,60-61,70-71");
}

TEST(TakeDistributed, TheRestGoesWhereTheBalanceIsBest) {
  const auto large = dual_socket_multi_numa_ht();
  EXPECT_EQ(distributed(dual_socket_ht(), "1-5,7-11", 1), "1");
  EXPECT_EQ(distributed(dual_socket_ht(), "1-5,7-11", 1, 2), "2") << "no multiple of a core: packed";
  EXPECT_EQ(distributed(large, "0-79", 26), "0-6,10-16,40-45,50-55");
  EXPECT_EQ(distributed(large, "0-79", 26, 2), "0-6,10-15,40-46,50-55");
  EXPECT_EQ(distributed(large, "0-79", 62), "0-7,10-17,20-27,30-37,40-47,50-57,60-66,70-76");
  EXPECT_EQ(distributed(large, "0-79", 62, 2), "0-7,10-17,20-27,30-36,40-47,50-57,60-67,70-76");
  EXPECT_EQ(distributed(large, "0-8,10-18,20-39,40-48,50-58,60-79", 62),
            "0-7,10-17,20-27,30-37,40-46,50-56,60-67,70-77");
  EXPECT_EQ(distributed(large, "0-8,10-18,20-39,40-48,50-58,60-79", 62, 2),
            "0-7,10-16,20-27,30-37,40-47,50-56,60-67,70-77");
  EXPECT_EQ(distributed(large, "0-3,10-13,20-23,30-36,40-43,50-53,60-63,70-76", 34),
            "0-3,10-13,20-23,30-34,40-43,50-53,60-63,70-74");
  EXPECT_EQ(distributed(dual_socket_multi_numa_ht_large(),
                        "0,128,30,31,158,159,43-47,171-175,62,63,190,191,75-79,203-207,94,96,222,223,101-111,229-239,"
                        "126,127,254,255",
                        28),
            "43-47,75-79,96,101-105,171-174,203-206,229-232");
}

// A kubelet of 1.34 looks for ever at two nodes with three CPUs each, of which two pairs cannot be made.
TEST(TakeDistributed, AnEndIsFoundWhereGroupsDoNotFit) {
  EXPECT_EQ(distributed(dual_socket_multi_numa_ht(), "1-47,49-58,60-68,70-74,76-79", 70, 2),
            "1-7,9-18,20-28,30-34,36-39,41-47,49-58,60-68,70-74,76-79");
}

}  // namespace
}  // namespace keelson::cpus
