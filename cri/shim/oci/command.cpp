// SPDX-License-Identifier: Apache-2.0
// command.h: fork(2) and execve(2), with a log file that only this run writes.
#include "cri/shim/oci/command.h"

#include <fmt/format.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>

#include "common/fd.h"
#include "cri/shim/devices.h"
#include "cri/shim/oci/json.h"

namespace keelson::cri::shim::oci {

namespace {

constexpr const char* kPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr int kCannotExecute = 127;
constexpr size_t kMostText = 64 << 10;

std::string base_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

[[noreturn]] void execute(std::vector<std::string> words, const int (&streams)[3], pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (::getppid() != parent) {
    ::_exit(kCannotExecute);
  }
  ::signal(SIGPIPE, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int i = 0; i < 3; ++i) {
    ::dup2(streams[i], i);  // onto itself where it is inherited
  }
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  std::vector<char*> arguments;
  for (auto& word : words) {
    arguments.push_back(word.data());
  }
  arguments.push_back(nullptr);
  std::string path = kPath;
  char* environment[] = {path.data(), nullptr};
  ::execve(arguments[0], arguments.data(), environment);
  ::_exit(kCannotExecute);
}

/// Its exit code, 128 + signal for a death by one.
Result<int> await(pid_t pid, const std::string& name, int limit_ms) {
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  pollfd ended{process.get(), POLLIN, 0};
  const bool in_time = process && ::poll(&ended, 1, limit_ms) == 1;
  if (!in_time) {
    ::kill(pid, SIGKILL);
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!in_time) {
    return fail(Kind::timeout, "{} did not end within {} ms, and was killed", name, limit_ms);
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

std::string text_in(const Fd& memory) {
  ::lseek(memory.get(), 0, SEEK_SET);
  return read_all(memory.get(), kMostText).value_or("");
}

Result<Fd> make_memory(const char* name) {
  Fd memory(::memfd_create(name, MFD_CLOEXEC));
  if (!memory) {
    return fail_errno(errno, "make a memory file");
  }
  return memory;
}

}  // namespace

std::string last_error(const std::string& log) {
  std::string found;
  std::string last;
  for (size_t at = 0; at < log.size();) {
    const auto end = std::min(log.find('\n', at), log.size());
    const auto line = log.substr(at, end - at);
    at = end + 1;
    if (line.find_first_not_of(" \t\r") == std::string::npos) {
      continue;
    }
    last = line;
    const auto level = text_of(line, "level");
    if (auto text = text_of(line, "msg"); !text.empty() && (level == "error" || level == "fatal")) {
      found = std::move(text);
    }
  }
  if (found.empty() && !last.empty()) {
    const auto text = text_of(last, "msg");
    found = text.empty() ? last : text;
  }
  return found;
}

Result<> run_command(const OciRuntime& runtime, const std::vector<std::string>& args, Streams streams) {
  const auto name = fmt::format("{} {}", base_name(runtime.command.front()), args.front());
  // Its log is a memory file: by a path that is ours while it runs.
  KEELSON_TRY(const auto log, make_memory("log"));
  KEELSON_TRY(const auto complaint, make_memory("stderr"));
  KEELSON_TRY(const auto null, open_null(O_RDWR));
  auto words = runtime.command;
  for (const auto& word :
       {std::string("--root"), runtime.state_dir, std::string("--log"),
        fmt::format("/proc/{}/fd/{}", ::getpid(), log.get()), std::string("--log-format"), std::string("json")}) {
    words.push_back(word);
  }
  words.insert(words.end(), args.begin(), args.end());
  const bool inherited = streams == Streams::inherited;
  const int fds[3] = {inherited ? 0 : null.get(), inherited ? 1 : null.get(), inherited ? 2 : complaint.get()};
  if (::access(words.front().c_str(), X_OK) != 0) {
    return fail_errno(errno, "{}: run {}", name, words.front());
  }
  const auto self = ::getpid();
  const auto pid = ::fork();
  if (pid == 0) {
    execute(std::move(words), fds, self);
  }
  if (pid < 0) {
    return fail_errno(errno, "{}: fork", name);
  }
  KEELSON_TRY(const int code, await(pid, name, static_cast<int>(runtime.deadline_ms)));
  if (code == 0) {
    return {};
  }
  auto reason = last_error(text_in(log));
  if (reason.empty()) {
    reason = last_error(text_in(complaint));
  }
  return fail(Kind::internal, "{}: {}", name,
              reason.empty() ? fmt::format("it ended with code {} and said nothing", code) : reason);
}

}  // namespace keelson::cri::shim::oci
