// SPDX-License-Identifier: Apache-2.0
#include "agent/cpus/policy_options.h"

#include <gtest/gtest.h>

#include "agent/cpus/test_machines.h"

namespace keelson::cpus {
namespace {

constexpr OptionGates kAlpha = {.alpha = true};

std::string refused(const std::map<std::string, std::string>& options, OptionGates gates = {}) {
  const auto parsed = parse_static_options(options, gates);
  return parsed ? "accepted" : parsed.error().message();
}

TEST(PolicyOptions, EachIsItsOwn) {
  EXPECT_EQ(*parse_static_options({}, {}), StaticOptions());
  EXPECT_EQ(*parse_static_options({{"full-pcpus-only", "true"}, {"strict-cpu-reservation", "1"}}, {}),
            (StaticOptions{.full_cores = true, .strict_reservation = true}));
  EXPECT_EQ(*parse_static_options({{"distribute-cpus-across-numa", "T"}}, {}), (StaticOptions{.across_numa = true}));
  EXPECT_EQ(*parse_static_options({{"prefer-align-cpus-by-uncorecache", "True"}}, {}),
            (StaticOptions{.by_uncore = true}));
  EXPECT_EQ(*parse_static_options({{"align-by-socket", "true"}}, kAlpha), (StaticOptions{.by_socket = true}));
  EXPECT_EQ(*parse_static_options({{"distribute-cpus-across-cores", "true"}}, kAlpha),
            (StaticOptions{.across_cores = true}));
  EXPECT_EQ(*parse_static_options({{"full-pcpus-only", "false"}}, {}), StaticOptions());
}

TEST(PolicyOptions, AreRefusedInTheKubeletsWords) {
  EXPECT_EQ(refused({{"no-such", "true"}}), "unknown CPU Manager Policy option: \"no-such\"");
  EXPECT_EQ(refused({{"full-pcpus-only", "yes"}}),
            "bad value for option \"full-pcpus-only\": strconv.ParseBool: parsing \"yes\": invalid syntax");
  EXPECT_EQ(refused({{"align-by-socket", "true"}}),
            "CPU Manager Policy Alpha-level Options not enabled, but option \"align-by-socket\" provided");
  EXPECT_EQ(refused({{"distribute-cpus-across-cores", "false"}}),
            "CPU Manager Policy Alpha-level Options not enabled, but option \"distribute-cpus-across-cores\" provided");
  EXPECT_EQ(refused({{"strict-cpu-reservation", "true"}}, {.beta = false}),
            "CPU Manager Policy Beta-level Options not enabled, but option \"strict-cpu-reservation\" provided");
  EXPECT_EQ(refused({{"full-pcpus-only", "true"}}, {.beta = false}), "accepted") << "it is stable";
}

TEST(PolicyOptions, SomeExcludeEachOther) {
  const auto both = [](const char* one, const char* other) {
    return refused({{one, "true"}, {other, "true"}}, kAlpha);
  };
  EXPECT_EQ(both("full-pcpus-only", "distribute-cpus-across-cores"),
            "static policy options full-pcpus-only and distribute-cpus-across-cores can not be used at the same time");
  EXPECT_EQ(both("distribute-cpus-across-numa", "distribute-cpus-across-cores"),
            "static policy options distribute-cpus-across-numa and distribute-cpus-across-cores can not be used at the "
            "same time");
  EXPECT_EQ(both("prefer-align-cpus-by-uncorecache", "distribute-cpus-across-cores"),
            "static policy options prefer-align-cpus-by-uncorecache and distribute-cpus-across-cores can not be used "
            "at the same time");
  EXPECT_EQ(both("prefer-align-cpus-by-uncorecache", "distribute-cpus-across-numa"),
            "static policy options prefer-align-cpus-by-uncorecache and distribute-cpus-across-numa can not be used at "
            "the same time");
  EXPECT_EQ(both("full-pcpus-only", "distribute-cpus-across-numa"), "accepted");
  EXPECT_EQ(refused({{"full-pcpus-only", "true"}, {"distribute-cpus-across-cores", "false"}}, kAlpha), "accepted");
}

TEST(PolicyOptions, SocketsMayNotBePartsOfNodes) {
  EXPECT_TRUE(check_machine({.by_socket = true}, dual_socket_multi_numa_ht()));
  EXPECT_TRUE(check_machine({}, uncore_dual_socket_no_smt()));
  EXPECT_EQ(check_machine({.by_socket = true}, uncore_dual_socket_no_smt()).error().message(),
            "Align by socket is not compatible with hardware where number of sockets are more than number of NUMA");
}

}  // namespace
}  // namespace keelson::cpus
