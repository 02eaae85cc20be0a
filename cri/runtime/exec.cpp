// SPDX-License-Identifier: Apache-2.0
// exec.h.
#include "cri/runtime/exec.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>

#include "common/pipe.h"
#include "cri/runtime/spec.h"

namespace keelson::cri {

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMostOutput = 16 << 20;
constexpr std::chrono::seconds kDrainTime{1};  // for output after the exit, when a grandchild keeps a pipe open
constexpr int kLateReads = 32;                 // after it, if there still is some: more than two pipes hold
constexpr std::chrono::seconds kExitTime{30};  // from the kernel's word to the shim's

Result<shim::ProcessSpec> process_of(const Located& located, std::vector<std::string> args, bool tty) {
  if (args.empty()) {
    return fail(Kind::invalid, "cmd is empty");
  }
  const auto record = located.container->record();
  if (record.state() != ::runtime::v1::CONTAINER_RUNNING) {
    return fail(Kind::conflict, "container {} is not running", record.id());
  }
  KEELSON_TRY(const auto container, shim::decode<shim::ProcessSpec>(record.process()));
  return exec_process(container, std::move(args), tty);
}

Exec as_exec(std::string id, const shim::ProcessStatus& status) {
  return {.id = std::move(id),
          .pid = status.pid,
          .process = Fd(static_cast<int>(::syscall(SYS_pidfd_open, status.pid, 0)))};
}

// Takes what is there; false at the end of the stream.
bool take(Fd& from, std::string& into) {
  static thread_local std::array<char, 64 << 10> buffer;
  const auto count = ::read(from.get(), buffer.data(), buffer.size());
  if (count <= 0) {
    return count < 0 && (errno == EINTR || errno == EAGAIN);
  }
  into.append(buffer.data(), std::min(static_cast<size_t>(count), kMostOutput - into.size()));
  return true;
}

int milliseconds_to(std::optional<Clock::time_point> deadline) {
  if (!deadline) {
    return -1;
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 3'600'000));
}

// Reads both streams until they end, the process has ended for a while, or the deadline. False: the deadline. Whoever
// writes without end does not go beyond either.
bool collect(const Exec& exec, Fd out, Fd err, std::optional<Clock::time_point> deadline, Outcome& outcome) {
  bool ended = !exec.process;
  if (ended) {
    deadline = std::min(deadline.value_or(Clock::time_point::max()), Clock::now() + kDrainTime);
  }
  int late_reads = 0;
  while (out || err || !ended) {
    std::array<pollfd, 3> ready{
        {{out.get(), POLLIN, 0}, {err.get(), POLLIN, 0}, {ended ? -1 : exec.process.get(), POLLIN, 0}}};
    const int count = ::poll(ready.data(), ready.size(), milliseconds_to(deadline));
    if (ready[2].revents != 0) {
      ended = true;
      deadline = Clock::now() + kDrainTime;
    } else if (deadline && Clock::now() >= *deadline && (count == 0 || !ended || ++late_reads > kLateReads)) {
      return ended;
    }
    if (ready[0].revents != 0 && !take(out, outcome.output)) {
      out.reset();
    }
    if (ready[1].revents != 0 && !take(err, outcome.error)) {
      err.reset();
    }
  }
  return true;
}

}  // namespace

Result<Exec> start_exec(Parts& parts, const Located& located, std::vector<std::string> args,
                        const std::vector<int>& stdio) {
  KEELSON_TRY(const auto process, process_of(located, std::move(args), false));
  const auto shim = located.sandbox->shim();
  if (!shim) {
    return fail(Kind::conflict, "sandbox {} is not ready", located.sandbox->id());
  }
  auto id = PodTable::new_id();
  parts.execs.expect(located.sandbox->id(), id);
  const auto status = shim->exec(located.container->id(), id, process, stdio);
  if (!status) {
    parts.execs.drop(id);
    return std::unexpected(status.error());
  }
  return as_exec(std::move(id), *status);
}

Result<Exec> start_exec_terminal(Parts& parts, const Located& located, std::vector<std::string> args, Fd& master) {
  KEELSON_TRY(const auto process, process_of(located, std::move(args), true));
  const auto shim = located.sandbox->shim();
  if (!shim) {
    return fail(Kind::conflict, "sandbox {} is not ready", located.sandbox->id());
  }
  auto id = PodTable::new_id();
  parts.execs.expect(located.sandbox->id(), id);
  auto terminal = shim->exec_terminal(located.container->id(), id, process);
  if (!terminal) {
    parts.execs.drop(id);
    return std::unexpected(terminal.error());
  }
  auto exec = as_exec(std::move(id), terminal->status);
  if (!terminal->master) {
    kill_exec(exec);
    parts.execs.drop(exec.id);
    return fail(Kind::exhausted, "the command's terminal did not come: the runtime or the shim has no descriptor left");
  }
  master = std::move(terminal->master);
  return exec;
}

void kill_exec(const Exec& exec) {
  if (exec.process) {
    ::syscall(SYS_pidfd_send_signal, exec.process.get(), SIGKILL, nullptr, 0);
  }
}

Result<Outcome> run_exec(Parts& parts, const Located& located, std::vector<std::string> args,
                         std::chrono::seconds limit) {
  std::optional<Clock::time_point> deadline;
  if (limit > std::chrono::seconds::zero()) {
    deadline = Clock::now() + limit;
  }
  KEELSON_TRY(auto out, make_pipe());
  KEELSON_TRY(auto err, make_pipe());
  KEELSON_TRY(const auto nothing, open_file("/dev/null", O_RDONLY));
  KEELSON_TRY(const auto exec,
              start_exec(parts, located, std::move(args), {nothing.get(), out.write.get(), err.write.get()}));
  out.write.reset();
  err.write.reset();
  Outcome outcome;
  const bool in_time = collect(exec, std::move(out.read), std::move(err.read), deadline, outcome);
  if (!in_time) {
    kill_exec(exec);
  }
  auto code = parts.execs.wait(exec.id, Clock::now() + kExitTime);
  parts.execs.drop(exec.id);
  if (!in_time) {
    return fail(Kind::timeout, "command did not end within {} s, and was killed", limit.count());
  }
  KEELSON_TRY(outcome.exit_code, std::move(code));
  return outcome;
}

}  // namespace keelson::cri
