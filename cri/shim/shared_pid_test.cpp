// SPDX-License-Identifier: Apache-2.0
// Containers that share a PID namespace, and the end of what they have forked.
#include <gmock/gmock.h>

#include "common/cgroup/kill.h"
#include "cri/shim/shim_fixture.h"

namespace keelson::cri::shim {
namespace {

/// A cgroup of our own in the v1 pids and freezer hierarchies and in v2, as far as they are mounted.
class OwnCgroup {
 public:
  explicit OwnCgroup(const std::string& name) {
    std::istringstream mounts(text_of("/proc/self/mounts"));
    std::string device, where, type, options, rest;
    for (; mounts >> device >> where >> type >> options && std::getline(mounts, rest);) {
      const bool second = type == "cgroup2";
      const auto words = "," + options + ",";
      const bool wanted = type == "cgroup" &&
                          (words.find(",pids,") != std::string::npos || words.find(",freezer,") != std::string::npos);
      if ((second || wanted) && fs::create_directory(where + "/" + name)) {
        folders_.push_back(where + "/" + name);
        procs_.push_back(folders_.back() + (second ? "/cgroup.procs" : "/tasks"));
      }
    }
  }
  OwnCgroup(const OwnCgroup&) = delete;
  ~OwnCgroup() {
    EXPECT_TRUE(cgroup::kill_members(procs_));
    for (const auto& folder : folders_) {
      EXPECT_EQ(::rmdir(folder.c_str()), 0) << folder;
    }
  }
  const std::vector<std::string>& procs() const { return procs_; }
  /// The folder with this control file, or "".
  std::string with(const std::string& file) const {
    for (const auto& folder : folders_) {
      if (fs::exists(folder + "/" + file)) {
        return folder;
      }
    }
    return "";
  }
  std::string members() const {
    std::string all;
    for (const auto& folder : folders_) {
      all += text_of(folder + "/cgroup.procs");
    }
    return all;
  }

 private:
  std::vector<std::string> folders_;
  std::vector<std::string> procs_;
};

class SharedPidTest : public ShimTest {
 protected:
  void SetUp() override {
    ShimTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    cgroup_ = std::make_unique<OwnCgroup>(fs::path(dir_).filename());
    if (cgroup_->procs().empty()) {
      GTEST_SKIP() << "SKIP: needs cgroups";
    }
  }
  void TearDown() override {
    ShimTest::TearDown();
    cgroup_.reset();
  }

  ContainerSpec sharing(NamespaceMode pid, const std::string& command) {
    auto spec = container("c", {"sh", "-c", command});
    spec.pid = pid;
    spec.cgroup_procs = cgroup_->procs();
    return spec;
  }

  /// Whoever is killed has gone a moment later.
  bool is_left_by_all() const {
    for (int i = 0; i < 12'000 && !cgroup_->members().empty(); ++i) {
      ::usleep(5000);
    }
    return cgroup_->members().empty();
  }

  std::unique_ptr<OwnCgroup> cgroup_;
};

TEST_F(SharedPidTest, TheOthersAreSeen) {
  launch(NamespaceMode::pod);
  auto first = container("a", {"sleep", "1234"});
  first.pid = NamespaceMode::pod;
  ASSERT_TRUE(client_->create(first));
  ASSERT_TRUE(client_->start("a"));
  auto second = container("b", {"sh", "-c", "cat /proc/1/comm; ps | grep -c '[s]leep 1234'"});
  second.pid = NamespaceMode::pod;
  run(second);
  EXPECT_EQ(output("b"), "pod-init\n1\n");
}

TEST_F(SharedPidTest, WhatWasForkedEndsWithItsContainer) {
  for (const auto mode : {NamespaceMode::node, NamespaceMode::pod}) {
    cgroup_ = std::make_unique<OwnCgroup>(dir_.substr(dir_.rfind('/') + 1) + std::to_string(static_cast<int>(mode)));
    launch(mode);
    EXPECT_EQ(run(sharing(mode, "sleep 1000 & sleep 1000 & exit 3")).exit_code, 3);
    EXPECT_TRUE(is_left_by_all()) << "mode " << static_cast<int>(mode);
    ASSERT_TRUE(client_->remove("c"));
    ASSERT_TRUE(client_->shutdown());
    client_.reset();
    fs::remove_all(dir_ + "/c");
  }
}

TEST_F(SharedPidTest, AKillReachesAll) {
  launch(NamespaceMode::node);
  ASSERT_TRUE(client_->create(sharing(NamespaceMode::node, "sleep 1000 & (sleep 1000 &) ; wait")));
  ASSERT_TRUE(client_->start("c"));
  ASSERT_TRUE(client_->signal("c", SIGKILL, false));
  EXPECT_EQ(wait_exit("c", "").signal, SIGKILL);
  EXPECT_TRUE(is_left_by_all());
}

TEST_F(SharedPidTest, WhatOutlivesAKilledShimIsInTheCgroup) {
  launch(NamespaceMode::node);
  ASSERT_TRUE(client_->create(sharing(NamespaceMode::node, "sleep 1000 & echo; wait")));
  auto started = client_->start("c");
  ASSERT_TRUE(started);
  auto logged = [&] { return output("c") == "\n"; };
  for (int i = 0; i < 12'000 && !logged(); ++i) {
    ::usleep(5000);
  }
  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, started->pid, 0)));
  ::kill(client_->pid(), SIGKILL);
  pollfd ended{pidfd.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&ended, 1, 60'000), 1);
  EXPECT_NE(cgroup_->members(), "") << "the kernel does not do it";
  EXPECT_TRUE(cgroup::kill_members(cgroup_->procs()));
  EXPECT_EQ(cgroup_->members(), "");
  client_.reset();
  ::umount2((dir_ + "/netns").c_str(), MNT_DETACH);
  fs::remove(dir_ + "/netns");
}

/// A process in the cgroup that does `work`.
template <class F>
pid_t member(const OwnCgroup& cgroup, F work) {
  const auto pid = ::fork();
  if (pid == 0) {
    for (const auto& file : cgroup.procs()) {
      if (!write_value(file, "0")) {
        ::_exit(1);
      }
    }
    work();
    ::_exit(0);
  }
  while (lines_with(cgroup.members(), std::to_string(pid)) < cgroup.procs().size()) {
    ::usleep(1000);
  }
  return pid;
}

TEST_F(SharedPidTest, ThoseWhoForkAllTheTimeEndToo) {
  const auto pids = cgroup_->with("pids.max");
  if (pids.empty()) {
    GTEST_SKIP() << "SKIP: needs the pids controller";
  }
  ASSERT_TRUE(write_value(pids + "/pids.max", "50"));
  // Nobody waits for long: each forks a successor and goes.
  const auto first = member(*cgroup_, [] {
    for (;;) {
      ::signal(SIGCHLD, SIG_IGN);
      if (::fork() > 0) {
        ::usleep(1000);
      }
    }
  });
  EXPECT_TRUE(cgroup::kill_members(cgroup_->procs()));
  EXPECT_EQ(cgroup_->members(), "");
  ::waitpid(first, nullptr, 0);
}

TEST_F(SharedPidTest, OneWhoDoesNotDieIsAnError) {
  const auto freezer = cgroup_->with("freezer.state");
  if (freezer.empty()) {
    GTEST_SKIP() << "SKIP: needs the v1 freezer, which holds also those who are killed";
  }
  const auto frozen = member(*cgroup_, [] { ::pause(); });
  ASSERT_TRUE(write_value(freezer + "/freezer.state", "FROZEN"));
  while (text_of(freezer + "/freezer.state") != "FROZEN\n") {
    ::usleep(1000);
  }
  auto killed = cgroup::kill_members({freezer + "/tasks"}, 50ms);
  ASSERT_FALSE(killed);
  EXPECT_EQ(killed.error().kind(), Kind::timeout);
  EXPECT_THAT(killed.error().message(), testing::EndsWith("one of them is " + std::to_string(frozen)));
  ASSERT_TRUE(write_value(freezer + "/freezer.state", "THAWED"));
  ::waitpid(frozen, nullptr, 0);
}

}  // namespace
}  // namespace keelson::cri::shim
