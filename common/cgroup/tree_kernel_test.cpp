// SPDX-License-Identifier: Apache-2.0
// Cgroups of the test's own, with processes in them.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cgroup/tree.h"
#include "common/fd.h"

namespace keelson::cgroup {

namespace {

class TreeKernelTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "SKIP: needs root (cgroups)";
    }
    auto tree = Tree::open();
    if (!tree) {
      GTEST_SKIP() << "SKIP: needs cgroups";
    }
    tree_ = *tree;
    top_ = "/keelson-tree-" + std::to_string(::getpid());
    path_ = top_ + "/below";
    ASSERT_TRUE(tree_.create(path_));
  }
  void TearDown() override {
    if (!top_.empty()) {
      EXPECT_TRUE(tree_.kill_and_remove(top_));
      for (const auto& file : tree_.procs_files(top_)) {
        EXPECT_NE(::access(file.c_str(), F_OK), 0) << file;
      }
    }
    while (::waitpid(-1, nullptr, 0) > 0) {
    }
  }

  /// A process in the cgroup that adds to a counter in shared memory, for ever.
  pid_t counter(int pipe) {
    const auto pid = ::fork();
    if (pid == 0) {
      for (const auto& file : tree_.procs_files(path_)) {
        if (!write_value(file, "0")) {
          ::_exit(1);
        }
      }
      for (;;) {
        if (::write(pipe, "x", 1) != 1) {
          ::_exit(0);
        }
      }
    }
    return pid;
  }

  Tree tree_{{}};
  std::string top_;
  std::string path_;
};

/// How much can be read now, without waiting for more.
size_t drain(int fd) {
  char buffer[4096];
  size_t all = 0;
  for (ssize_t n = 0; (n = ::read(fd, buffer, sizeof buffer)) > 0;) {
    all += static_cast<size_t>(n);
  }
  return all;
}

}  // namespace

TEST_F(TreeKernelTest, MadeLimitedReadAndRemovedWithAProcessInside) {
  ASSERT_TRUE(tree_.create(path_)) << "again is success";
  ASSERT_TRUE(tree_.apply(path_, {.cpu_shares = 512, .memory = 64 << 20}, Missing::passed_over));
  EXPECT_FALSE(tree_.populated(path_));
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Fd reading(ends[0]);
  Fd writing(ends[1]);
  const auto pid = counter(writing.get());
  char one = 0;
  ASSERT_EQ(::read(reading.get(), &one, 1), 1) << "it is in";
  EXPECT_TRUE(tree_.populated(path_));
  EXPECT_TRUE(tree_.populated(top_));
  auto refused = tree_.remove(path_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), Kind::conflict);
  tree_.remove_if_empty(path_);
  EXPECT_TRUE(tree_.populated(path_));
  ASSERT_TRUE(tree_.kill_and_remove(path_));
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  EXPECT_TRUE(tree_.remove(path_)) << "absent is success";
}

TEST_F(TreeKernelTest, NobodyLeavesTheTree) {
  auto refused = tree_.create(top_ + "/../../keelson-outside");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), Kind::invalid);
}

TEST_F(TreeKernelTest, FrozenProcessesDoNothingUntilTheyAreThawed) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Fd reading(ends[0]);
  Fd writing(ends[1]);
  counter(writing.get());
  char one = 0;
  ASSERT_EQ(::read(reading.get(), &one, 1), 1);
  auto frozen = tree_.freeze(path_);
  if (!frozen && frozen.error().kind() == Kind::unsupported) {
    GTEST_SKIP() << "SKIP: needs a freezer";
  }
  ASSERT_TRUE(frozen) << frozen.error().message();
  ASSERT_EQ(::fcntl(reading.get(), F_SETFL, O_NONBLOCK), 0);
  drain(reading.get());
  ::usleep(20'000);
  EXPECT_EQ(drain(reading.get()), 0u) << "it went on";
  ASSERT_TRUE(tree_.thaw(path_));
  ASSERT_EQ(::fcntl(reading.get(), F_SETFL, 0), 0);
  EXPECT_EQ(::read(reading.get(), &one, 1), 1) << "it goes on";
}

}  // namespace keelson::cgroup
