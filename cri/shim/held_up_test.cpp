// SPDX-License-Identifier: Apache-2.0
// A shim that comes late, as on a busy node: what its processes have told and done meanwhile is there all at once.
#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>

#include <algorithm>
#include <future>

#include "cri/shim/shim_fixture.h"

namespace keelson::cri::shim {
namespace {

struct Line {
  char state = '?';
  pid_t parent = 0;
};
/// State and parent of a process (proc_pid_stat(5)).
Line line_of(pid_t pid) {
  const auto stat = text_of("/proc/" + std::to_string(pid) + "/stat");
  Line line;
  if (const auto name_end = stat.rfind(')'); name_end != std::string::npos) {
    std::istringstream(stat.substr(name_end + 2)) >> line.state >> line.parent;
  }
  return line;
}

/// The living children of `parent` that are none of `known`.
std::vector<pid_t> other_children(pid_t parent, const std::vector<pid_t>& known) {
  std::vector<pid_t> found;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const auto name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) {
      continue;
    }
    const auto pid = static_cast<pid_t>(std::stol(name));
    const auto line = line_of(pid);
    if (line.parent == parent && line.state != 'Z' && std::ranges::find(known, pid) == known.end()) {
      found.push_back(pid);
    }
  }
  return found;
}

bool ends(const Fd& process) {
  pollfd ended{process.get(), POLLIN, 0};
  return ::poll(&ended, 1, 60'000) == 1;
}

Fd process_of(pid_t pid) {
  return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

/// Stops the shim for as long as it lives, so that nothing is left stopped by a test that fails.
class Stopped {
 public:
  explicit Stopped(pid_t pid) : pid_(pid) {
    ::kill(pid, SIGSTOP);
    while (line_of(pid).state != 'T' && ::kill(pid, 0) == 0) {
      ::sched_yield();
    }
  }
  ~Stopped() { ::kill(pid_, SIGCONT); }
  Stopped(const Stopped&) = delete;
  Stopped& operator=(const Stopped&) = delete;

 private:
  pid_t pid_;
};

/// A file that nobody else can open while this is there (F_SETLEASE in fcntl(2)).
class Leased {
 public:
  explicit Leased(const std::string& path) {
    ::signal(SIGIO, SIG_IGN);  // somebody has come
    if (auto file = open_file(path, O_RDONLY); file && ::fcntl(file->get(), F_SETLEASE, F_WRLCK) == 0) {
      file_ = *std::move(file);
    }
  }
  bool valid() const { return static_cast<bool>(file_); }
  /// That somebody waits for it.
  bool is_wanted() const {
    const auto end = std::chrono::steady_clock::now() + 30s;
    while (::fcntl(file_.get(), F_GETLEASE) == F_WRLCK && std::chrono::steady_clock::now() < end) {
      ::sched_yield();
    }
    return ::fcntl(file_.get(), F_GETLEASE) != F_WRLCK;
  }
  void let_go() { ::fcntl(file_.get(), F_SETLEASE, F_UNLCK); }

 private:
  Fd file_;
};

// The shim finds the death of another child first, then on the command's channel the terminal and the end. Whoever it
// reaps then must have been heard before.
TEST_F(ShimTest, TheTerminalOfACommandThatHasEndedBeforeItWasHeardIsNotLost) {
  launch();
  auto spec = container("c", {"sleep", "100"});
  ASSERT_TRUE(client_->create(spec));
  const auto first = client_->start("c");
  ASSERT_TRUE(first);
  const auto null = open_file("/dev/null", O_RDWR);
  auto process = spec.process;
  const auto other = client_->exec("c", "other", process, {null->get(), null->get(), null->get()});
  ASSERT_TRUE(other) << other.error().message();

  // The command's process reads /etc/passwd before it has a terminal, and now waits there for us.
  Leased passwd(dir_ + "/layer/etc/passwd");
  ASSERT_TRUE(passwd.valid());
  process.args = {"echo", "hello"};
  process.tty = true;
  auto call = std::async(std::launch::async, [&] { return client_->exec_terminal("c", "e", process); });
  const bool waits = passwd.is_wanted();
  EXPECT_TRUE(waits);
  // Its first step may not have left yet.
  auto commands = other_children(client_->pid(), {first->pid, other->pid});
  while (commands.size() > 1) {
    commands = other_children(client_->pid(), {first->pid, other->pid});
  }
  ASSERT_EQ(commands.size(), 1U);
  const auto command = process_of(commands.front());
  {
    const Stopped stopped(client_->pid());
    const auto other_process = process_of(other->pid);
    ::kill(other->pid, SIGKILL);
    EXPECT_TRUE(ends(other_process));
    passwd.let_go();
    EXPECT_TRUE(ends(command));
  }
  const auto terminal = call.get();
  ASSERT_TRUE(terminal) << terminal.error().message();
  ASSERT_TRUE(terminal->master);
  char data[64];
  const auto n = ::read(terminal->master.get(), data, sizeof data);
  EXPECT_EQ(std::string(data, n > 0 ? static_cast<size_t>(n) : 0), "hello\r\n");
  EXPECT_EQ(wait_exit("c", "e").exit_code, 0);
}

}  // namespace
}  // namespace keelson::cri::shim
