// SPDX-License-Identifier: Apache-2.0
#include "common/process.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace keelson {
namespace {

using namespace std::chrono_literals;

TEST(RunCommand, PassesInputEnvironmentAndExit) {
  auto output = run_command({.args = {"/bin/sh", "-c", "cat; echo $NAME >&2; exit 4"},
                             .env = {"NAME=value", "PATH=/bin:/usr/bin"},
                             .input = "in"});
  ASSERT_TRUE(output) << output.error().message();
  EXPECT_EQ(output->out, "in");
  EXPECT_EQ(output->error, "value\n");
  EXPECT_EQ(output->exit_code, 4);
}

TEST(RunCommand, LargeStreamsDoNotDeadlock) {
  std::string big(1 << 20, 'x');
  auto output = run_command({.args = {"/bin/cat"}, .input = big});
  ASSERT_TRUE(output);
  EXPECT_EQ(output->out.size(), big.size());
  EXPECT_TRUE(run_command({.args = {"/bin/true"}, .input = big})) << "input that nobody reads";
}

TEST(RunCommand, LimitsAndMissingPrograms) {
  EXPECT_EQ(run_command({.args = {"/no/such"}}).error().kind(), Kind::not_found);
  EXPECT_EQ(run_command({.args = {"/bin/sleep", "100"}, .deadline = 20ms}).error().kind(), Kind::timeout);
  EXPECT_EQ(
      run_command({.args = {"/bin/sh", "-c", "yes"}, .env = {"PATH=/bin:/usr/bin"}, .max_output = 1000}).error().kind(),
      Kind::exhausted);
  EXPECT_EQ(run_command({.args = {"/bin/sh", "-c", "kill -9 $$"}})->exit_code, 137);
}

/// What runs; a zombie does not.
bool runs(const std::string& pid) {
  std::ifstream status("/proc/" + pid + "/stat");
  std::string id, name, state;
  return static_cast<bool>(status >> id >> name >> state) && state != "Z";
}

TEST(RunCommand, WhatAProgramHasStartedIsKilledWithIt) {
  const auto file = ::testing::TempDir() + "/started-" + std::to_string(::getpid());
  const auto output = run_command({.args = {"/bin/sh", "-c", "sleep 1000 & echo $! >" + file + "; yes"},
                                   .env = {"PATH=/bin:/usr/bin"},
                                   .max_output = 1000});
  ASSERT_EQ(output.error().kind(), Kind::exhausted);
  std::string pid;
  std::ifstream(file) >> pid;
  ASSERT_FALSE(pid.empty());
  for (int i = 0; i < 6000 && runs(pid); ++i) {
    ::usleep(10'000);
  }
  EXPECT_FALSE(runs(pid));
  ::unlink(file.c_str());
}

}  // namespace
}  // namespace keelson
