// SPDX-License-Identifier: Apache-2.0
// The life of containers and of their shim.
#include "cri/shim/shim_fixture.h"

namespace keelson::cri::shim {
namespace {

TEST_F(ShimTest, RunsAndKeepsTheExit) {
  launch();
  auto status = run(container("c", {"sh", "-c", "echo out; echo err >&2; exit 3"}));
  EXPECT_EQ(status.exit_code, 3);
  EXPECT_EQ(status.signal, 0);
  EXPECT_GE(status.finished_at, status.started_at);
  EXPECT_EQ(output("c"), "out\nerr\n");
  auto state = client_->state();
  ASSERT_TRUE(state);
  ASSERT_EQ(state->size(), 1U);
  EXPECT_EQ(state->front().exit_code, 3);
  auto saved = decode<ProcessStatus>(text_of(dir_ + "/run/c.exit"));
  ASSERT_TRUE(saved);
  EXPECT_EQ(saved->exit_code, 3);
  EXPECT_TRUE(client_->remove("c"));
  EXPECT_FALSE(fs::exists(dir_ + "/run/c.exit"));
  EXPECT_TRUE(client_->state()->empty());
}

TEST_F(ShimTest, AFailedLaunchLeavesNothing) {
  fs::create_directories(dir_ + "/run");
  auto spec = sandbox(NamespaceMode::pod);
  spec.sysctls.push_back({"net.no.such.thing", "1"});
  auto failed = ShimClient::launch(shim_, spec, 60s);
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message().find("net.no.such.thing"), std::string::npos) << failed.error().message();
  EXPECT_TRUE(fs::is_empty(dir_ + "/run"));
  EXPECT_FALSE(fs::exists(dir_ + "/netns"));
}

TEST_F(ShimTest, SignalsEndWith128AndTheNumber) {
  launch();
  auto spec = container("c", {"sleep", "100"});
  ASSERT_TRUE(client_->create(spec));
  ASSERT_TRUE(client_->start("c"));
  ASSERT_TRUE(client_->signal("c", SIGKILL, false));
  auto status = wait_exit("c", "");
  EXPECT_EQ(status.exit_code, 137);
  EXPECT_EQ(status.signal, SIGKILL);
  EXPECT_TRUE(client_->signal("c", SIGTERM, false)) << "a process that has ended is success";
}

TEST_F(ShimTest, NamesTheStepThatFailed) {
  launch();
  auto no_program = container("a", {"/no/such/program"});
  ASSERT_TRUE(client_->create(no_program));
  auto started = client_->start("a");
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().message(), "exec /no/such/program: No such file or directory");
  auto bad_mount = container("b", {"true"});
  bad_mount.mounts.push_back({.source = "/does/not/exist", .target = "/data"});
  auto created = client_->create(bad_mount);
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().message(), "mount /data: source /does/not/exist: No such file or directory");
  auto no_user = container("c", {"true"});
  no_user.process.user = "nobody";
  EXPECT_EQ(client_->create(no_user).error().message(), "user nobody is not in the container's /etc/passwd");
  EXPECT_EQ(client_->start("none").error().kind(), Kind::not_found);
}

TEST_F(ShimTest, TheContainerIsAloneAndClean) {
  launch();
  EXPECT_EQ(
      shell("host",
            "hostname; echo $$; ls -1 /proc | grep -c '^[0-9]'; cat /proc/sys/net/ipv4/ip_unprivileged_port_start"),
      "pod-name\n1\n3\n80\n");
  EXPECT_EQ(
      shell("fds", "ls /proc/self/fd | tr '\\n' ' '; for i in 0 1 2 3; do readlink /proc/1/fd/$i | grep -c null; done"),
      "0 1 2 3 1\n0\n0\n0\n")
      << "3 is ls's own folder";
  EXPECT_EQ(shell("caps", "grep -E 'CapEff|CapBnd|NoNewPrivs|Seccomp:' /proc/self/status | tr -d '\\t'"),
            "CapEff:00000000a80425fb\nCapBnd:00000000a80425fb\nNoNewPrivs:0\nSeccomp:0\n");
  EXPECT_EQ(
      shell("mask",
            "head -c 1 /proc/timer_list | wc -c; ls /sys/firmware | wc -l; (echo 1 > /proc/sys/kernel/panic) 2>&1 || "
            "echo refused; "
            "mount -t tmpfs x /etc 2>&1 || echo refused"),
      "0\n0\nsh: can't create /proc/sys/kernel/panic: Read-only file system\nrefused\nmount: permission denied (are "
      "you root?)\nrefused\n");
}

TEST_F(ShimTest, ASandboxWithoutAHostnameCannotRenameTheNode) {
  hostname_ = "";
  launch();
  const auto own = fs::read_symlink("/proc/self/ns/uts").string();
  EXPECT_NE(shell("uts", "readlink /proc/self/ns/uts"), own + "\n");
  char name[256] = "";
  ::gethostname(name, sizeof name);
  EXPECT_EQ(shell("name", "hostname"), std::string(name) + "\n");
}

TEST_F(ShimTest, UsersGroupsAndHome) {
  launch();
  auto spec =
      container("u", {"sh", "-c", "id; echo $HOME; pwd; grep -E 'CapEff|NoNewPrivs' /proc/self/status | tr -d '\\t'"});
  spec.process.user = "web";
  spec.process.supplemental_gids = {2000};
  spec.process.cwd = "/made/for/me";
  spec.process.no_new_privs = true;
  run(spec);
  EXPECT_EQ(output("u"),
            "uid=33(web) gid=34(web) "
            "groups=34(web),50(logs),2000\n/home/web\n/made/for/me\nCapEff:0000000000000000\nNoNewPrivs:1\n");
}

TEST_F(ShimTest, ExecSharesTheContainerAndTellsItsExit) {
  launch();
  auto spec = container("c", {"sleep", "100"});
  ASSERT_TRUE(client_->create(spec));
  auto refused = client_->exec("c", "early", spec.process, {0, 1, 2});
  EXPECT_EQ(refused.error().kind(), Kind::conflict);
  ASSERT_TRUE(client_->start("c"));
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  auto null = open_file("/dev/null", O_RDWR);
  auto process = spec.process;
  process.args = {"sh", "-c", "echo $(cat /proc/1/comm) $NAME; exit 9"};
  auto started = client_->exec("c", "e1", process, {null->get(), write_end.get(), write_end.get()});
  ASSERT_TRUE(started) << started.error().message();
  write_end.reset();
  EXPECT_EQ(*read_all(read_end.get()), "sleep value\n");
  EXPECT_EQ(wait_exit("c", "e1").exit_code, 9);
  process.args = {"nothing"};
  EXPECT_EQ(client_->exec("c", "e2", process, {null->get(), null->get(), null->get()}).error().message(),
            "exec nothing: No such file or directory");
}

TEST_F(ShimTest, TerminalOfAContainerAndOfAnExec) {
  launch();
  auto spec = container("t", {"sh", "-c", "read line; echo got $line; stty size"});
  spec.process.tty = true;
  ASSERT_TRUE(client_->create(spec));
  ASSERT_TRUE(client_->resize("t", "", 120, 40));
  ASSERT_TRUE(client_->start("t"));
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  auto input = client_->attach("t", write_end.get(), write_end.get(), true);
  ASSERT_TRUE(input && *input);
  write_end.reset();
  ASSERT_TRUE(write_all(input->get(), "hello\n"));
  wait_exit("t", "");
  auto copy = read_all(read_end.get());
  ASSERT_TRUE(copy);
  EXPECT_NE(copy->find("got hello"), std::string::npos) << *copy;
  EXPECT_NE(copy->find("40 120"), std::string::npos) << *copy;

  // It has nothing to do now, and must not spend a whole core on that.
  auto before = cpu_ticks(client_->pid());
  ::usleep(200'000);
  EXPECT_LT(cpu_ticks(client_->pid()) - before, 10) << "the shim is busy after its container's terminal has closed";

  auto other = container("o", {"sleep", "100"});
  ASSERT_TRUE(client_->create(other));
  ASSERT_TRUE(client_->start("o"));
  auto process = other.process;
  process.args = {"sh", "-c", "test -t 0 && echo terminal"};
  process.tty = true;
  auto terminal = client_->exec_terminal("o", "e", process);
  ASSERT_TRUE(terminal) << terminal.error().message();
  ASSERT_TRUE(terminal->master);
  EXPECT_EQ(wait_exit("o", "e").exit_code, 0);
  std::string said;
  char data[64];
  for (ssize_t n = 0; said.size() < 10 && (n = ::read(terminal->master.get(), data, sizeof data)) > 0;) {
    said.append(data, static_cast<size_t>(n));
  }
  EXPECT_EQ(said, "terminal\r\n");
}

TEST_F(ShimTest, RemovalEndsExecsToo) {
  launch();
  auto spec = container("c", {"sleep", "100"});
  ASSERT_TRUE(client_->create(spec));
  ASSERT_TRUE(client_->start("c"));
  auto process = spec.process;
  auto null = open_file("/dev/null", O_RDWR);
  ASSERT_TRUE(client_->exec("c", "e", process, {null->get(), null->get(), null->get()}));
  // The first process of a PID namespace is not gone before its namespace's other members are reaped.
  EXPECT_TRUE(client_->remove("c"));
  EXPECT_EQ(wait_exit("c", "e").signal, SIGKILL);
  EXPECT_TRUE(client_->state()->empty());
}

TEST_F(ShimTest, StateOutlivesTheConnection) {
  launch();
  auto spec = container("c", {"sh", "-c", "read line; exit 7"});
  spec.stdin_open = true;
  ASSERT_TRUE(client_->create(spec));
  auto started = client_->start("c");
  ASSERT_TRUE(started);
  auto input = client_->attach("c", 1, 2, true);
  ASSERT_TRUE(input && *input);
  client_.reset();
  events_.reset();
  ASSERT_TRUE(write_all(input->get(), "go\n"));
  auto again = ShimClient::connect(dir_ + "/run", 60s);
  ASSERT_TRUE(again) << again.error().message();
  client_ = std::move(*again);
  auto events = ShimClient::connect(dir_ + "/run", 60s);
  ASSERT_TRUE(events && (*events)->subscribe());
  // Either the state already tells the end, or its event is still to come.
  auto state = client_->state();
  ASSERT_TRUE(state);
  EXPECT_EQ(state->front().pid, started->pid);
  if (state->front().state != ProcessState::exited) {
    events_ = std::move(*events);
    EXPECT_EQ(wait_exit("c", "").exit_code, 7);
  } else {
    EXPECT_EQ(state->front().exit_code, 7);
  }
}

TEST_F(ShimTest, InputForOneAttachEndsWithIt) {
  launch();
  auto spec = container("c", {"sh", "-c", "cat; echo end"});
  spec.stdin_open = true;
  spec.stdin_once = true;
  ASSERT_TRUE(client_->create(spec));
  ASSERT_TRUE(client_->start("c"));
  auto watching = client_->attach("c", 1, 2, false);
  ASSERT_TRUE(watching);
  EXPECT_FALSE(*watching) << "an attach without input leaves it to the next";
  auto input = client_->attach("c", 1, 2, true);
  ASSERT_TRUE(input && *input);
  auto late = client_->attach("c", 1, 2, true);
  ASSERT_TRUE(late);
  EXPECT_FALSE(*late);
  ASSERT_TRUE(write_all(input->get(), "hello\n"));
  input->reset();
  EXPECT_EQ(wait_exit("c", "").exit_code, 0);
  EXPECT_EQ(output("c"), "hello\nend\n");
}

TEST_F(ShimTest, ContainersEndWithTheirShim) {
  launch();
  auto spec = container("c", {"sleep", "100"});
  ASSERT_TRUE(client_->create(spec));
  auto started = client_->start("c");
  ASSERT_TRUE(started);
  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, started->pid, 0)));
  ASSERT_TRUE(pidfd);
  ::kill(client_->pid(), SIGKILL);
  pollfd ended{pidfd.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&ended, 1, 60'000), 1) << "the container outlived its shim";
  EXPECT_EQ(client_->state().error().kind(), Kind::unavailable);
  client_.reset();
  ::umount2((dir_ + "/netns").c_str(), MNT_DETACH);
  fs::remove(dir_ + "/netns");
}

TEST_F(ShimTest, AFloodOfOutputIsWholeInTheLog) {
  launch();
  run(container("c", {"sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done"}));
  std::istringstream in(output("c"));
  int expected = 0;
  for (std::string line; std::getline(in, line); ++expected) {
    ASSERT_EQ(line, "line " + std::to_string(expected));
  }
  EXPECT_EQ(expected, 20000);
}

TEST_F(ShimTest, TheKeeperStaysSmall) {
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  GTEST_SKIP() << "a sanitizer's own memory is not the keeper's";
#endif
  launch();
  auto spec = container("c", {"sleep", "100"});
  ASSERT_TRUE(client_->create(spec));
  ASSERT_TRUE(client_->start("c"));
  long kib = 0;
  std::istringstream in(text_of("/proc/" + std::to_string(client_->pid()) + "/smaps_rollup"));
  for (std::string line; std::getline(in, line);) {
    // Clean pages are the binary's own, shared as soon as there are two shims.
    if (line.starts_with("Private_Dirty")) {
      kib += std::stol(line.substr(line.find(':') + 1));
    }
  }
  EXPECT_GT(kib, 0);
  EXPECT_LE(kib, 512);
  RecordProperty("private_kib", static_cast<int>(kib));
  std::printf("private memory of the shim: %ld KiB\n", kib);
}

}  // namespace
}  // namespace keelson::cri::shim
