// SPDX-License-Identifier: Apache-2.0
// A CPU profile of this very process, and how it is written down.
#include "metrics/profile.h"

#include <gmock/gmock.h>
#include <time.h>
#include <unistd.h>

#include "metrics/symbols.h"

// A name that no compiler changes, and that is told in profiles.
extern "C" [[gnu::noinline]] uint64_t keelson_test_burns_cpu(uint64_t seed) {
  for (int i = 0; i < 100'000; ++i) {
    seed = seed * 6364136223846793005U + 1442695040888963407U;
  }
  return seed;
}

namespace keelson::metrics {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

Duration cpu_time() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

volatile uint64_t burnt = 0;

TEST(CpuSampler, SeesWhereTheTimeGoes) {
  auto sampler = CpuSampler::start(10ms, 1000);
  ASSERT_TRUE(sampler) << sampler.error().message();
  const auto other = CpuSampler::start(10ms, 1000);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind(), Kind::conflict);
  const Duration end = cpu_time() + 300ms;
  while (cpu_time() < end) {
    burnt = keelson_test_burns_cpu(burnt);
  }
  const auto samples = (*sampler)->stop();
  EXPECT_GE(samples.size(), 10U);
  EXPECT_EQ(samples.at(0).thread, ::gettid());
  const Symbols symbols;
  const auto folded =
      folded_profile({.samples = samples, .period = 10ms}, [&](uintptr_t address) { return symbols.name_of(address); });
  EXPECT_THAT(folded, HasSubstr(";keelson_test_burns_cpu "));
  sampler->reset();
  EXPECT_TRUE(CpuSampler::start(10ms, 1)) << "the next one may";
}

CpuProfile small_profile() {
  return {.samples = {{.thread = 1, .addresses = {30, 20, 10}},
                      {.thread = 1, .addresses = {30, 20, 10}},
                      {.thread = 1, .addresses = {20, 10}}},
          .period = 10ms,
          .length = 2s,
          .at = WallTime(1s)};
}
std::string name_of(uintptr_t address) {
  return address == 10 ? "main" : address == 20 ? "run<A;B>" : "work";
}

TEST(FoldedProfile, HasALineForEachStack) {
  EXPECT_EQ(folded_profile(small_profile(), name_of), "gone;main;run<A:B> 1\ngone;main;run<A:B>;work 2\n");
}

TEST(PprofProfile, IsTheMessageOfPprof) {
  const auto text = pprof_profile(small_profile(), name_of);
  using namespace std::string_view_literals;
  EXPECT_TRUE(text.starts_with("\x0a\x04\x08\x01\x10\x02\x0a\x04\x08\x03\x10\x04"sv))
      << "samples/count, cpu/nanoseconds";
  EXPECT_THAT(text, HasSubstr("\x32\x07samples\x32\x05"
                              "count\x32\x03"
                              "cpu\x32\x0bnanoseconds"));
  // Two samples of three frames, 20 ms of CPU.
  EXPECT_THAT(text, HasSubstr(std::string("\x10\x02\x10\x80\xda\xc4\x09")));
  EXPECT_THAT(text, HasSubstr("\x32\x08run<A;B>"));
  EXPECT_TRUE(text.ends_with("\x60\x80\xad\xe2\x04"sv)) << "the period is 10 ms";
}

}  // namespace
}  // namespace keelson::metrics
