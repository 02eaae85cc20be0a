// SPDX-License-Identifier: Apache-2.0
// Real containers of busybox in a real sandbox, through the shim's own binary.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cri/shim/client.h"

namespace keelson::cri::shim {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

std::string text_of(const std::string& path) {
  std::ifstream in(path);
  std::stringstream all;
  all << in.rdbuf();
  return all.str();
}

size_t lines_with(const std::string& text, const std::string& word) {
  size_t count = 0;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    count += line.find(word) != std::string::npos ? 1 : 0;
  }
  return count;
}

/// The log without times and stream names.
std::string plain_log(const std::string& path) {
  std::string out;
  std::istringstream in(text_of(path));
  for (std::string line; std::getline(in, line);) {
    auto flag = line.find(' ', line.find(' ') + 1);
    out += line.substr(flag + 3) + "\n";
  }
  return out;
}

/// User and system time of a process, in ticks of 10 ms.
long cpu_ticks(pid_t pid) {
  auto stat = text_of("/proc/" + std::to_string(pid) + "/stat");
  std::istringstream in(stat.substr(stat.rfind(')') + 2));
  std::string skipped;
  for (int field = 3; field < 14; ++field) {
    in >> skipped;
  }
  long user = 0;
  long system = 0;
  in >> user >> system;
  return user + system;
}

class ShimTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "SKIP: needs root (namespaces, mounts)";
    }
    if (!fs::exists("/bin/busybox")) {
      GTEST_SKIP() << "SKIP: needs busybox-static";
    }
    std::string pattern = "/tmp/keelson-shim-test-XXXXXX";
    dir_ = ::mkdtemp(pattern.data());
    fs::create_directories(dir_ + "/layer/bin");
    fs::create_directories(dir_ + "/layer/etc");
    fs::copy("/bin/busybox", dir_ + "/layer/bin/busybox");
    for (const char* applet :
         {"sh",   "cat",      "ls",   "echo", "sleep", "true", "id",   "hostname", "touch", "mount", "ps",
          "grep", "readlink", "kill", "head", "tr",    "pwd",  "stty", "mkdir",    "wc",    "dd",    "yes"}) {
      fs::create_symlink("busybox", dir_ + "/layer/bin/" + applet);
    }
    std::ofstream(dir_ + "/layer/etc/passwd") << "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34::/home/web:/bin/sh\n";
    std::ofstream(dir_ + "/layer/etc/group") << "root:x:0:\nweb:x:34:\nlogs:x:50:web\n";
    mounts_before_ = lines_with(text_of("/proc/self/mountinfo"), dir_);
  }

  void TearDown() override {
    if (dir_.empty()) {
      return;
    }
    if (client_) {
      EXPECT_TRUE(client_->shutdown());
    }
    EXPECT_EQ(lines_with(text_of("/proc/self/mountinfo"), dir_), mounts_before_) << "a mount was left";
    EXPECT_FALSE(fs::exists(dir_ + "/netns"));
    fs::remove_all(dir_);
  }

  void launch(NamespaceMode pid = NamespaceMode::container) {
    fs::create_directories(dir_ + "/run");
    SandboxSpec spec;
    spec.id = "sandbox";
    spec.run_dir = dir_ + "/run";
    spec.hostname = "pod-name";
    spec.netns_pin = dir_ + "/netns";
    spec.pid = pid;
    spec.sysctls = {{"net.ipv4.ip_unprivileged_port_start", "80"}};
    const char* bin = ::getenv("KEELSON_BIN");
    shim_ = std::string(bin != nullptr ? bin : "build/bin") + "/keelson-shim";
    auto client = ShimClient::launch(shim_, spec, 10s);
    ASSERT_TRUE(client) << client.error().message();
    client_ = std::move(*client);
    auto events = ShimClient::connect(dir_ + "/run", 10s);
    ASSERT_TRUE(events) << events.error().message();
    events_ = std::move(*events);
    ASSERT_TRUE(events_->subscribe());
  }

  ContainerSpec container(const std::string& id, std::vector<std::string> args) {
    ContainerSpec spec;
    spec.id = id;
    spec.process.args = std::move(args);
    spec.process.env = {"PATH=/bin", "NAME=value"};
    auto& caps = spec.process.capabilities;
    caps.bounding = caps.permitted = caps.effective = 0x00000000a80425fb;  // containerd's default set
    spec.lower_dirs = {dir_ + "/layer"};
    for (const char* part : {"upper", "work", "rootfs"}) {
      fs::create_directories(dir_ + "/" + id + "/" + part);
    }
    spec.upper_dir = dir_ + "/" + id + "/upper";
    spec.work_dir = dir_ + "/" + id + "/work";
    spec.rootfs_dir = dir_ + "/" + id + "/rootfs";
    spec.log_path = dir_ + "/logs/" + id + ".log";
    auto filesystem = [](const char* type, const char* target, uint64_t flags, const char* data) {
      Mount mount;
      mount.kind = MountKind::filesystem;
      mount.source = type;
      mount.type = type;
      mount.target = target;
      mount.flags = flags;
      mount.data = data;
      return mount;
    };
    spec.mounts = {filesystem("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, ""),
                   filesystem("tmpfs", "/dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"),
                   filesystem("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"),
                   filesystem("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, "")};
    spec.devices = {{.path = "/dev/null", .type = S_IFCHR, .major = 1, .minor = 3}};
    spec.masked_paths = {"/proc/timer_list", "/proc/scsi", "/sys/firmware"};
    spec.read_only_paths = {"/proc/sys", "/proc/bus"};
    return spec;
  }

  /// Creates, starts, waits for the end; the exit status.
  ProcessStatus run(const ContainerSpec& spec) {
    auto created = client_->create(spec);
    EXPECT_TRUE(created) << created.error().message();
    auto started = client_->start(spec.id);
    EXPECT_TRUE(started) << started.error().message();
    return wait_exit(spec.id, "");
  }

  ProcessStatus wait_exit(const std::string& container_id, const std::string& exec_id) {
    for (;;) {
      auto event = events_->next_event(20s);
      if (!event) {
        ADD_FAILURE() << "no exit of " << container_id << ": " << event.error().message();
        return {};
      }
      if (event->status.container_id == container_id && event->status.exec_id == exec_id) {
        return event->status;
      }
    }
  }

  std::string output(const std::string& id) { return plain_log(dir_ + "/logs/" + id + ".log"); }

  /// What a shell command prints in a new container.
  std::string shell(const std::string& id, const std::string& command) {
    run(container(id, {"sh", "-c", command}));
    return output(id);
  }

  std::string dir_;
  std::string shim_;
  size_t mounts_before_ = 0;
  std::unique_ptr<ShimClient> client_;
  std::unique_ptr<ShimClient> events_;
};

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

TEST_F(ShimTest, UsersGroupsAndHome) {
  launch();
  auto spec =
      container("u", {"sh", "-c", "id; echo $HOME; pwd; grep -E 'CapEff|NoNewPrivs' /proc/self/status | tr -d '\\t'"});
  spec.process.user = "web";
  spec.process.supplemental_gids = {2000};
  spec.process.cwd = "/made/for/me";
  spec.process.no_new_privs = true;
  run(spec);
  EXPECT_EQ(
      output("u"),
      "uid=33(web) gid=34(web) groups=50(logs),2000\n/home/web\n/made/for/me\nCapEff:0000000000000000\nNoNewPrivs:1\n");
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
  auto input = client_->attach("t", write_end.get(), write_end.get());
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
  char data[64];
  auto n = ::read(terminal->master.get(), data, sizeof data);
  EXPECT_EQ(std::string(data, n > 0 ? static_cast<size_t>(n) : 0), "terminal\r\n");
}

TEST_F(ShimTest, SharedPidNamespaceSeesTheOthers) {
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

TEST_F(ShimTest, LinksInTheImageLeadNowhere) {
  fs::create_directory_symlink(dir_, dir_ + "/layer/escape");
  fs::create_directory_symlink("../../../../../../tmp", dir_ + "/layer/up");
  fs::create_directories(dir_ + "/source");
  std::ofstream(dir_ + "/source/file") << "from outside";
  launch();
  auto spec = container("c", {"sh", "-c", "cat /escape/inside/file /up/inside/file"});
  spec.mounts.push_back({.source = dir_ + "/source", .target = "/escape/inside", .flags = MS_RDONLY});
  spec.mounts.push_back({.source = dir_ + "/source", .target = "/up/inside"});
  auto created = client_->create(spec);
  EXPECT_FALSE(fs::exists(dir_ + "/inside"));
  EXPECT_FALSE(fs::exists("/tmp/inside"));
  if (created) {
    ASSERT_TRUE(client_->start("c"));
    wait_exit("c", "");
  }
}

TEST_F(ShimTest, ADeviceIsNeverMadeThroughALink) {
  fs::create_directories(dir_ + "/volume");
  std::ofstream(dir_ + "/secret") << "of the node";
  ::chmod((dir_ + "/secret").c_str(), 0600);
  fs::create_symlink(dir_ + "/secret", dir_ + "/volume/null");
  launch();
  auto spec = container("c", {"true"});
  spec.mounts.push_back({.source = dir_ + "/volume", .target = "/dev"});
  auto created = client_->create(spec);
  ASSERT_FALSE(created);
  EXPECT_NE(created.error().message().find("device /dev/null"), std::string::npos) << created.error().message();
  EXPECT_EQ(fs::status(dir_ + "/secret").permissions() & fs::perms::mask,
            fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(ShimTest, VolumesReadOnlyAndWritable) {
  fs::create_directories(dir_ + "/volume");
  launch();
  auto spec = container("c", {"sh", "-c", "touch /ro/x || echo refused; touch /rw/y; touch /z || echo read-only root"});
  spec.mounts.push_back({.source = dir_ + "/volume", .target = "/ro", .flags = MS_RDONLY});
  spec.mounts.push_back({.source = dir_ + "/volume", .target = "/rw"});
  spec.read_only_root = true;
  run(spec);
  EXPECT_EQ(output("c"),
            "touch: /ro/x: Read-only file system\nrefused\ntouch: /z: Read-only file system\nread-only root\n");
  EXPECT_TRUE(fs::exists(dir_ + "/volume/y"));
}

TEST_F(ShimTest, StateOutlivesTheConnection) {
  launch();
  auto spec = container("c", {"sh", "-c", "read line; exit 7"});
  spec.stdin_open = true;
  ASSERT_TRUE(client_->create(spec));
  auto started = client_->start("c");
  ASSERT_TRUE(started);
  auto input = client_->attach("c", 1, 2);
  ASSERT_TRUE(input && *input);
  client_.reset();
  events_.reset();
  ASSERT_TRUE(write_all(input->get(), "go\n"));
  auto again = ShimClient::connect(dir_ + "/run", 10s);
  ASSERT_TRUE(again) << again.error().message();
  client_ = std::move(*again);
  auto events = ShimClient::connect(dir_ + "/run", 10s);
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
  EXPECT_EQ(::poll(&ended, 1, 5000), 1) << "the container outlived its shim";
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
