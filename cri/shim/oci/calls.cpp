// SPDX-License-Identifier: Apache-2.0
// calls.h.
#include "cri/shim/oci/calls.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <functional>

#include "common/atomic_file.h"
#include "cri/shim/child_channel.h"
#include "cri/shim/oci/bundle.h"
#include "cri/shim/oci/command.h"
#include "cri/shim/oci/console.h"
#include "cri/shim/oci/root.h"
#include "cri/shim/privileges.h"

namespace keelson::cri::shim::oci {

namespace {

constexpr int kChannel = 3;
constexpr uint32_t kTakeBack = 1000;  // milliseconds; what then remains, the container's removal finds

/// `stdio` as the standard streams, where /dev/null was, and `channel` behind them; of what else the shim has open, the
/// writing end of another container's input would keep that from its end.
void keep_only(const ChildStdio& stdio, const Fd& channel) {
  int to = 0;
  for (const auto* stream : {&stdio.in, &stdio.out, &stdio.error}) {
    if (*stream) {
      ::dup2(stream->get(), to);
    }
    ++to;
  }
  if (channel.get() != kChannel) {
    ::dup2(channel.get(), kChannel);
  }
  ::close_range(kChannel + 1, ~0U, 0);
  ::fcntl(kChannel, F_SETFD, FD_CLOEXEC);
}

/// `work` in a child with these streams, which tells what comes of it: a terminal, if there is one.
Result<Child> call(const ChildStdio& stdio, const std::function<Result<Fd>()>& work) {
  KEELSON_TRY(auto channel, make_channel());
  const auto self = ::getpid();
  const auto pid = ::fork();
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (::getppid() != self) {
      ::_exit(1);
    }
    keep_only(stdio, channel.childs);
    auto done = work();
    if (done) {
      tell_ready(kChannel, *done);
    } else {
      tell_failed(kChannel, done.error());
    }
    ::_exit(0);
  }
  if (pid < 0) {
    return fail_errno(errno, "fork");
  }
  ::fcntl(channel.ours.get(), F_SETFL, O_NONBLOCK);
  return Child{.pid = pid, .pidfd = Fd(), .channel = std::move(channel.ours), .first_step = false};
}

std::string in_bundle(const ContainerSpec& spec, const std::string& name) {
  return spec.oci.bundle_dir + "/" + name;
}

std::string pid_file(const ContainerSpec& spec, const std::string& exec_id) {
  return in_bundle(spec, exec_id.empty() ? "pid" : exec_id + ".pid");
}

Result<> write_new(const std::string& path, const std::string& text) {
  return write_file_atomic(path, text, 0600);
}

/// `owner` is the shim: its namespaces are the sandbox's.
std::vector<Namespace> namespaces_of(const ContainerSpec& spec, const Sandbox& sandbox, pid_t owner) {
  const auto& wanted = sandbox.spec();
  const auto of = [](pid_t pid, const char* name) { return fmt::format("/proc/{}/ns/{}", pid, name); };
  std::vector<Namespace> out{{"mount", ""}};
  if (spec.cgroup_namespace) {
    out.push_back({"cgroup", ""});
  }
  if (!wanted.netns_pin.empty()) {
    out.push_back({"network", wanted.netns_pin});
  }
  if (!wanted.netns_pin.empty() || !wanted.hostname.empty()) {
    out.push_back({"uts", of(owner, "uts")});
  }
  if (wanted.ipc != NamespaceMode::node) {
    out.push_back({"ipc", of(owner, "ipc")});
  }
  switch (spec.pid) {
    case NamespaceMode::container:
      out.push_back({"pid", ""});
      break;
    case NamespaceMode::pod:
      out.push_back({"pid", sandbox.init_pid() > 0 ? of(sandbox.init_pid(), "pid") : ""});
      break;
    case NamespaceMode::target:
      out.push_back({"pid", of(spec.target_pid, "pid")});
      break;
    case NamespaceMode::node:
      break;
  }
  return out;
}

/// A command that leaves a process behind, with our streams or a terminal.
Result<Fd> run_and_leave(const ContainerSpec& spec, std::vector<std::string> args, bool tty,
                         const std::string& console_name) {
  if (!tty) {
    args.push_back(spec.id);
    KEELSON_DO(run_command(spec.oci, args, Streams::inherited));
    return Fd();
  }
  KEELSON_TRY(auto console, ConsoleSocket::open(spec.oci.bundle_dir, console_name));
  args.insert(args.end(), {"--console-socket", console.path(), spec.id});
  KEELSON_DO(run_command(spec.oci, args, Streams::none));
  return console.take();
}

/// What the node's root itself lacks cannot be given (a nested machine), and a runtime fails on it.
Result<> clamp(Capabilities& wanted) {
  KEELSON_TRY(const auto ours, permitted_capabilities());
  for (auto* set : {&wanted.bounding, &wanted.permitted, &wanted.effective, &wanted.inheritable, &wanted.ambient}) {
    *set &= ours;
  }
  return {};
}

Result<Fd> create(ContainerSpec spec, const Sandbox& sandbox) {
  KEELSON_DO(clamp(spec.process.capabilities));
  KEELSON_DO(mount_root(spec));
  KEELSON_TRY(const auto user, user_in_root(spec));
  KEELSON_DO(write_new(in_bundle(spec, "user"), encode(user)));
  KEELSON_DO(write_new(in_bundle(spec, "config.json"),
                       config_document(spec, user, namespaces_of(spec, sandbox, ::getppid()))));
  auto done = run_and_leave(spec, {"create", "--bundle", spec.oci.bundle_dir, "--pid-file", pid_file(spec, "")},
                            spec.process.tty, "console");
  if (!done) {
    auto briefly = spec.oci;
    briefly.deadline_ms = std::min(briefly.deadline_ms, kTakeBack);
    auto taken_back = run_command(briefly, {"delete", "--force", spec.id}, Streams::none);
    static_cast<void>(taken_back);  // most likely there is nothing; the first error tells more
  }
  return done;
}

Result<Fd> exec(const ContainerSpec& spec, const std::string& exec_id, ProcessSpec process) {
  KEELSON_DO(clamp(process.capabilities));
  KEELSON_TRY(const auto saved, read_file(in_bundle(spec, "user")));
  KEELSON_TRY(const auto user, decode<User>(saved));
  const auto document = in_bundle(spec, exec_id + ".json");
  KEELSON_DO(
      write_new(document, process_document({.spec = process, .user = user, .oom_score_adj = spec.oom_score_adj})));
  auto done = run_and_leave(spec, {"exec", "--process", document, "--pid-file", pid_file(spec, exec_id), "--detach"},
                            process.tty, exec_id + ".console");
  ::unlink(document.c_str());
  return done;
}

/// A command without a terminal or streams.
Result<Child> call_command(const ContainerSpec& spec, const std::vector<std::string>& args) {
  return call({}, [&]() -> Result<Fd> {
    KEELSON_DO(run_command(spec.oci, args, Streams::none));
    return Fd();
  });
}

}  // namespace

Result<Child> call_create(const ContainerSpec& spec, ChildStdio stdio, const Sandbox& sandbox) {
  return call(stdio, [&] { return create(spec, sandbox); });
}

Result<Child> call_start(const ContainerSpec& spec) {
  return call_command(spec, {"start", spec.id});
}

Result<Child> call_exec(const ContainerSpec& spec, const std::string& exec_id, const ProcessSpec& process,
                        ChildStdio stdio) {
  return call(stdio, [&] { return exec(spec, exec_id, process); });
}

Result<Child> call_kill(const ContainerSpec& spec, int number) {
  return call_command(spec, {"kill", spec.id, std::to_string(number)});
}

Result<Child> call_delete(const ContainerSpec& spec) {
  return call_command(spec, {"delete", "--force", spec.id});
}

Result<pid_t> take_pid(const ContainerSpec& spec, const std::string& exec_id) {
  const auto file = pid_file(spec, exec_id);
  KEELSON_TRY(const auto text, read_file(file, 64));
  ::unlink(file.c_str());
  pid_t pid = 0;
  std::from_chars(text.data(), text.data() + text.size(), pid);
  if (pid <= 1) {
    return fail(Kind::internal, "the runtime has written \"{}\" as the process into {}", text, file);
  }
  return pid;
}

Result<> await_call(Child call, int limit_ms) {
  pollfd told{call.channel.get(), POLLIN, 0};
  if (::poll(&told, 1, limit_ms) != 1) {
    end_call(call);
    return fail(Kind::timeout, "the runtime has not answered within {} ms", limit_ms);
  }
  auto heard = read_child(call.channel.get());
  end_call(call);
  if (!heard) {
    return std::unexpected(std::move(heard).error());
  }
  if (*heard && (*heard)->what == ChildMessage::What::failed) {
    return std::unexpected((*heard)->error);
  }
  return *heard && (*heard)->what == ChildMessage::What::ready
             ? Result<>()
             : fail(Kind::internal, "the runtime's command was killed");
}

void end_call(const Child& call) {
  ::kill(call.pid, SIGKILL);
  while (::waitpid(call.pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace keelson::cri::shim::oci
