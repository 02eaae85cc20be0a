// SPDX-License-Identifier: Apache-2.0
// Scopes and slices of a real systemd, which tests/support/with_systemd.sh starts in namespaces of its own.
#include "common/cgroup/systemd.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>

#include "common/cgroup/tree.h"
#include "common/fd.h"

namespace keelson::cgroup {

using testing::HasSubstr;

namespace {

/// What the command prints, and nothing if it fails.
std::string output_of(const std::string& command) {
  std::string text;
  auto* pipe = ::popen((command + " 2>&1").c_str(), "r");
  std::array<char, 4096> buffer;
  while (const auto n = ::fread(buffer.data(), 1, buffer.size(), pipe)) {
    text.append(buffer.data(), n);
  }
  return ::pclose(pipe) == 0 ? text : "failed: " + text;
}

std::string property(const std::string& unit, const std::string& name) {
  auto text = output_of("systemctl show --value -p " + name + " " + unit);
  return text.substr(0, text.find('\n'));
}

/// What `look` sees once it is `wanted`, or after a minute: systemd forgets a unit when it next has nothing else to do.
template <class Look>
std::string becomes(const std::string& wanted, Look look) {
  auto seen = look();
  for (int i = 0; i < 600 && seen != wanted; ++i) {
    ::usleep(100'000);
    seen = look();
  }
  return seen;
}

class SystemdTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* layout = ::getenv("KEELSON_CGROUP_LAYOUT");
    if (layout == nullptr) {
      GTEST_SKIP() << "SKIP: needs a systemd of its own (tests/support/with_systemd.sh)";
    }
    first_version_ = std::string_view(layout) != "v2";
    auto tree = Tree::open(Driver::systemd);
    ASSERT_TRUE(tree) << tree.error().message();
    tree_ = *tree;
    EXPECT_EQ(tree_.unified(), !first_version_);
    slice_ = slice_path("kt-pod1.slice");
    scope_ = tree_.child(slice_, "c1");
  }
  void TearDown() override {
    if (slice_.empty()) {
      return;
    }
    EXPECT_TRUE(tree_.kill_and_remove(scope_));
    EXPECT_TRUE(tree_.kill_and_remove(slice_));
    EXPECT_TRUE(tree_.kill_and_remove("/kt.slice"));
    for (const auto& file : tree_.procs_files("/kt.slice")) {
      EXPECT_NE(::access(file.substr(0, file.rfind('/')).c_str(), F_OK), 0) << file;
    }
    EXPECT_EQ(becomes("", [] { return output_of("systemctl list-units --all --no-legend 'kt*' 'keelson*'"); }), "");
  }

  /// A process that has joined `path` and does nothing.
  pid_t member(const std::string& path) {
    const auto pid = ::fork();
    if (pid == 0) {
      for (const auto& file : tree_.procs_files(path)) {
        if (!write_value(file, "0")) {
          ::_exit(1);
        }
      }
      for (;;) {
        ::pause();
      }
    }
    const auto mark = std::to_string(pid) + "\n";
    while (::waitpid(pid, nullptr, WNOHANG) == 0) {
      const auto files = tree_.procs_files(path);
      const bool in = std::all_of(files.begin(), files.end(), [&](const auto& file) {
        return read_file(file.substr(0, file.rfind('/')) + "/cgroup.procs").value_or("").find(mark) !=
               std::string::npos;
      });
      if (in) {
        return pid;
      }
      ::usleep(500);
    }
    ADD_FAILURE() << "it could not join " << path;
    return 0;
  }
  std::string file(const std::string& controller, const std::string& name, const std::string& path) {
    return read_file("/sys/fs/cgroup/" + (first_version_ ? controller : "") + path + "/" + name).value_or("absent");
  }
  /// Every limit as the kernel has it.
  std::string kernels(const std::string& path) {
    return "shares " + file("cpu", "cpu.shares", path) + "quota " + file("cpu", "cpu.cfs_quota_us", path) + "memory " +
           file("memory", "memory.limit_in_bytes", path) + "pids " + file("pids", "pids.max", path) + "devices " +
           file("devices", "devices.list", path);
  }

  bool first_version_ = false;
  Tree tree_{{}};
  std::string slice_;
  std::string scope_;
};

const Limits kLimits{
    .cpu_shares = 512, .cpu_quota = 12'345, .cpu_period = 100'000, .memory = 64 << 20, .processes = 77};

}  // namespace

TEST_F(SystemdTest, AScopeHasItsLimitsAndAReloadLeavesThem) {
  ASSERT_TRUE(tree_.create(slice_, {.cpu_shares = 1024, .memory = 128 << 20}, Missing::passed_over));
  auto hold = tree_.create(scope_, kLimits, Missing::passed_over);
  ASSERT_TRUE(hold) << hold.error().message();
  ASSERT_TRUE(tree_.confine_devices(scope_, {"c 1:3 rwm", "c 136:* rwm"}));
  const auto pid = member(scope_);
  *hold = Hold();
  EXPECT_EQ(property("keelson-c1.scope", "ActiveState"), "active");
  EXPECT_EQ(property("keelson-c1.scope", "Slice"), "kt-pod1.slice");
  EXPECT_EQ(property("keelson-c1.scope", "Delegate"), "yes");
  EXPECT_EQ(property("keelson-c1.scope", "TasksMax"), "77");
  EXPECT_EQ(property("keelson-c1.scope", "CPUQuotaPerSecUSec"), "130ms");
  EXPECT_EQ(property("keelson-c1.scope", "DevicePolicy"), "strict");
  EXPECT_EQ(property("keelson-c1.scope", first_version_ ? "MemoryLimit" : "MemoryMax"), "67108864");
  EXPECT_EQ(property("keelson-c1.scope", first_version_ ? "CPUShares" : "CPUWeight"), first_version_ ? "512" : "59");
  EXPECT_EQ(property("kt-pod1.slice", first_version_ ? "MemoryLimit" : "MemoryMax"), "134217728");
  const auto before = kernels(scope_);
  if (first_version_) {
    EXPECT_EQ(before, "shares 512\nquota 13000\nmemory 67108864\npids 77\ndevices c 1:3 rwm\nc 136:* rwm\n");
    EXPECT_EQ(file("memory", "memory.limit_in_bytes", slice_), "134217728\n");
  }
  EXPECT_EQ(output_of("systemctl daemon-reload"), "");
  EXPECT_EQ(kernels(scope_), before);
  EXPECT_EQ(property("keelson-c1.scope", "TasksMax"), "77");
  // One property more, and systemd writes all that it knows.
  EXPECT_EQ(output_of("systemctl set-property --runtime keelson-c1.scope IOAccounting=no BlockIOAccounting=no"), "");
  EXPECT_EQ(kernels(scope_), before);
  EXPECT_EQ(::kill(pid, 0), 0);
  EXPECT_TRUE(tree_.populated(scope_));
}

TEST_F(SystemdTest, LimitsChangeWhileItRuns) {
  ASSERT_TRUE(tree_.create(slice_));
  auto hold = tree_.create(scope_, kLimits, Missing::passed_over);
  ASSERT_TRUE(hold) << hold.error().message();
  ASSERT_TRUE(tree_.apply(scope_, {.cpu_shares = 256, .memory = -1, .processes = 5}, Missing::passed_over));
  EXPECT_EQ(property("keelson-c1.scope", "TasksMax"), "5");
  EXPECT_EQ(property("keelson-c1.scope", first_version_ ? "MemoryLimit" : "MemoryMax"), "infinity");
  if (first_version_) {
    EXPECT_EQ(file("cpu", "cpu.shares", scope_), "256\n");
    EXPECT_EQ(file("cpu", "cpu.cfs_quota_us", scope_), "13000\n") << "what is not named stays";
    EXPECT_EQ(file("pids", "pids.max", scope_), "5\n");
  }
}

TEST_F(SystemdTest, ASliceThatIsThereGetsItsLimits) {
  {
    auto hold = tree_.create(scope_);  // its slices come with it
    ASSERT_TRUE(hold) << hold.error().message();
    ASSERT_TRUE(tree_.create(slice_, {.processes = 99}, Missing::passed_over));
    ASSERT_TRUE(tree_.create(slice_, {.processes = 98}, Missing::passed_over)) << "again is success";
    EXPECT_EQ(property("kt-pod1.slice", "TasksMax"), "98");
    auto twice = tree_.create(scope_);
    ASSERT_FALSE(twice);
    EXPECT_EQ(twice.error().kind(), Kind::exists);
    tree_.remove_if_empty(slice_);
    EXPECT_EQ(property("kt-pod1.slice", "ActiveState"), "active") << "somebody is inside";
  }
  ASSERT_TRUE(tree_.kill_and_remove(scope_));
  tree_.remove_if_empty(slice_);
  EXPECT_EQ(becomes("inactive", [] { return property("kt-pod1.slice", "ActiveState"); }), "inactive");
}

TEST_F(SystemdTest, AnEndedScopeIsGoneAndItsNameIsFree) {
  for (int round = 0; round < 3; ++round) {
    auto hold = tree_.create(scope_, kLimits, Missing::passed_over);
    ASSERT_TRUE(hold) << hold.error().message();
    const auto pid = member(scope_);
    *hold = Hold();
    auto refused = tree_.remove(scope_);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind(), Kind::conflict);
    ASSERT_EQ(::kill(pid, SIGKILL), 0);
    ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
    ASSERT_TRUE(tree_.remove(scope_));
    ASSERT_TRUE(tree_.remove(scope_)) << "absent is success";
    for (const auto& file : tree_.procs_files(scope_)) {
      EXPECT_NE(::access(file.c_str(), F_OK), 0) << file;
    }
  }
}

TEST_F(SystemdTest, WhatIsInNoSliceIsRefused) {
  for (const char* path : {"/kubepods/pod1", "/kubepods/keelson-1.scope", "/b.slice/b-c.slice/../keelson-1.scope",
                           "/c.slice/a-b.slice", "/a.slice/x"}) {
    auto refused = tree_.create(path);
    ASSERT_FALSE(refused) << path;
    EXPECT_EQ(refused.error().kind(), Kind::invalid) << path;
  }
}

TEST(Systemd, NobodyThere) {
  auto refused = Systemd::connect("/nonexistent/private");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), Kind::unavailable);
  EXPECT_THAT(refused.error().message(), HasSubstr("/nonexistent/private"));
}

}  // namespace keelson::cgroup
