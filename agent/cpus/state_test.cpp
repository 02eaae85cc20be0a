// SPDX-License-Identifier: Apache-2.0
// The file, as a kubelet of 1.34 writes and reads it.
#include "agent/cpus/state.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace keelson::cpus {
namespace {

// Checksums are those of the kubelet's own code.
constexpr const char* kNone = R"({"policyName":"none","defaultCpuSet":"","checksum":1353318690})";
constexpr const char* kShared = R"({"policyName":"static","defaultCpuSet":"0-1","checksum":1636926438})";
constexpr const char* kGiven =
    R"({"policyName":"static","defaultCpuSet":"0,3","entries":{"u1":{"c":"4-5"},"u2":{"a\"x":"2","b":"1"}},"checksum":643007095})";

CpuState given() {
  return {.policy = "static",
          .shared = CpuSet({0, 3}),
          .own = {{"u1", {{"c", CpuSet({4, 5})}}}, {"u2", {{"b", CpuSet({1})}, {"a\"x", CpuSet({2})}}}}};
}

std::string refused(const std::string& text) {
  const auto parsed = parse_state(text);
  return parsed ? "accepted" : parsed.error().message();
}

TEST(State, IsWrittenAsTheKubeletWritesIt) {
  EXPECT_EQ(format_state({.policy = "none", .shared = {}, .own = {}}), kNone);
  EXPECT_EQ(format_state({.policy = "static", .shared = CpuSet({0, 1}), .own = {}}), kShared);
  EXPECT_EQ(format_state(given()), kGiven);
}

TEST(State, IsReadAsTheKubeletReadsIt) {
  EXPECT_EQ(parse_state(kNone)->policy, "none");
  EXPECT_EQ(*parse_state(kGiven), given());
  EXPECT_EQ(parse_state(R"({"policyName":"static","defaultCpuSet":"0-1","checksum":0})")->shared, CpuSet({0, 1}))
      << "no checksum at all";
}

TEST(State, WhatIsNotWhatWasWrittenIsRefused) {
  const std::string corrupted = "checkpoint is corrupted: its checksum is not that of what it says";
  EXPECT_EQ(refused(R"({"policyName":"static","defaultCpuSet":"0-2","checksum":1636926438})"), corrupted);
  EXPECT_EQ(refused(R"({"policyName":"static","defaultCpuSet":"0-1","checksum":-1})"), corrupted);
  EXPECT_EQ(refused(""), "it is no JSON object");
  EXPECT_EQ(refused(std::string(kGiven).substr(0, 40)), "it is no JSON object");
  EXPECT_EQ(refused("[]"), "it is no JSON object");
  EXPECT_EQ(refused(R"({"defaultCpuSet":""})"), "policyName: expected a string");
  EXPECT_EQ(refused(R"({"policyName":"static","defaultCpuSet":"","entries":{"u":{"c":7}}})"),
            "entries: u: c: expected a string");
  EXPECT_EQ(refused(R"({"policyName":"static","defaultCpuSet":"","entries":{"u":7}})"),
            "entries: u: expected an object");
  EXPECT_EQ(refused(R"({"policyName":"static","defaultCpuSet":"","entries":7})"), "entries: expected an object");
  EXPECT_EQ(refused(R"({"policyName":"static","defaultCpuSet":"x","checksum":0})"),
            "could not parse default cpu set: 'x' is no list such as 0-3,6");
  EXPECT_EQ(refused(R"({"policyName":"static","defaultCpuSet":"","entries":{"u":{"c":"x"}},"checksum":0})"),
            "could not parse cpuset for container \"c\" in pod \"u\": 'x' is no list such as 0-3,6");
}

TEST(State, IsOnDiskOrNot) {
  char path[] = "/tmp/keelson-cpus-XXXXXX";
  const std::string folder = ::mkdtemp(path);
  const auto file = folder + "/cpu_manager_state";
  EXPECT_EQ(load_state(file).value(), std::nullopt);
  ASSERT_TRUE(save_state(file, given()));
  EXPECT_EQ(load_state(file).value(), given());
  std::ofstream(file) << "x";
  EXPECT_EQ(load_state(file).error().kind(), Kind::invalid);
  std::filesystem::remove_all(folder);
  EXPECT_FALSE(save_state(file, given()));
}

}  // namespace
}  // namespace keelson::cpus
