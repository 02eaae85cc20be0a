// SPDX-License-Identifier: Apache-2.0
// keelson-shim ID RUN_DIR: reads a SandboxSpec from standard input, makes the sandbox, answers on standard output with
// a Reply, and serves <RUN_DIR>/shim.sock until it is told to end. Started by the runtime, not by people.
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "cri/shim/sandbox.h"
#include "cri/shim/server.h"

namespace keelson::cri::shim {
namespace {

struct Serving {
  std::unique_ptr<Sandbox> sandbox;
  Listener listener;
};

Result<Serving> begin() {
  KEELSON_TRY(auto text, read_all(STDIN_FILENO, 1 << 20));
  KEELSON_TRY(auto spec, decode<SandboxSpec>(text));
  KEELSON_TRY(auto listener, Listener::open(spec.run_dir));
  KEELSON_TRY(auto sandbox, Sandbox::enter(std::move(spec)));
  return Serving{std::move(sandbox), std::move(listener)};
}

int run() {
  sigset_t child;
  ::sigemptyset(&child);
  ::sigaddset(&child, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &child, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  // Nobody who shares our PID namespace may look at us or trace us.
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  auto serving = begin();
  Reply reply;
  if (!serving) {
    reply = {.ok = false,
             .error_kind = static_cast<uint32_t>(serving.error().kind()),
             .error_code = serving.error().code(),
             .error = serving.error().message(),
             .statuses = {}};
  }
  auto told = write_all(STDOUT_FILENO, encode(reply));
  auto null = open_file("/dev/null", O_RDWR);
  if (!serving || !told || !null) {
    return 1;
  }
  for (int i = 0; i < 3; ++i) {
    ::dup2(null->get(), i);
  }
  null->reset();
  serve(*serving->sandbox, std::move(serving->listener));
  return 0;
}

}  // namespace
}  // namespace keelson::cri::shim

int main(int argc, char**) {
  if (argc != 3) {
    std::fputs("usage: keelson-shim ID RUN_DIR (started by the keelson runtime)\n", stderr);
    return 2;
  }
  // The runtime's libraries open sockets without close-on-exec; a listening one would outlive the runtime in us.
  ::close_range(3, ~0U, 0);
  // The runtime waits for this process alone; the shim itself belongs to the system.
  if (pid_t pid = ::fork(); pid != 0) {
    return pid > 0 ? 0 : 1;
  }
  return keelson::cri::shim::run();
}
