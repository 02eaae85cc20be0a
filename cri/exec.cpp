// SPDX-License-Identifier: Apache-2.0
// RPCs Exec and Attach: URLs of sessions that the streaming server will run.
#include "cri/runtime/exec.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <memory>

#include "common/pipe.h"
#include "cri/service.h"
#include "cri/status.h"

namespace keelson::cri {

namespace {

constexpr auto kForever = std::chrono::steady_clock::time_point::max();

/// By the terminal itself, and not by its shim, which may be busy: the server's loop must not wait.
Result<std::function<Result<>(TerminalSize)>> resize_by(int terminal) {
  KEELSON_TRY(auto own, duplicate(terminal));
  return [own = std::make_shared<Fd>(std::move(own))](TerminalSize size) -> Result<> {
    winsize wanted{};
    wanted.ws_col = size.width;
    wanted.ws_row = size.height;
    return ::ioctl(own->get(), TIOCSWINSZ, &wanted) == 0 ? Result<>() : fail_errno(errno, "set the terminal's size");
  };
}

StreamSession session_of(Parts& parts, Exec exec) {
  auto shared = std::make_shared<Exec>(std::move(exec));
  StreamSession session;
  session.wait = [&parts, shared]() -> Result<int> {
    auto code = parts.execs.wait(shared->id, kForever);
    parts.execs.drop(shared->id);
    return code;
  };
  session.hang_up = [shared] { kill_exec(*shared); };
  return session;
}

Result<StreamSession> open_terminal(Parts& parts, const Located& located, const v1::ExecRequest& request) {
  Fd master;
  KEELSON_TRY(auto exec, start_exec_terminal(parts, located, {request.cmd().begin(), request.cmd().end()}, master));
  StreamSession ends;
  const auto wired = [&]() -> Result<> {
    if (request.stdin()) {
      KEELSON_TRY(ends.in, duplicate(master.get()));
    }
    KEELSON_TRY(ends.resize, resize_by(master.get()));
    return {};
  }();
  if (!wired) {
    kill_exec(exec);
    parts.execs.drop(exec.id);
    return std::unexpected(wired.error());
  }
  auto session = session_of(parts, std::move(exec));
  session.in = std::move(ends.in);
  session.resize = std::move(ends.resize);
  session.out = std::move(master);
  return session;
}

Result<StreamSession> open_exec(Parts& parts, const Located& located, const v1::ExecRequest& request) {
  if (request.tty()) {
    return open_terminal(parts, located, request);
  }
  KEELSON_TRY(auto in, make_pipe());
  KEELSON_TRY(auto out, make_pipe());
  KEELSON_TRY(auto err, make_pipe());
  KEELSON_TRY(auto exec, start_exec(parts, located, {request.cmd().begin(), request.cmd().end()},
                                    {in.read.get(), out.write.get(), err.write.get()}));
  auto session = session_of(parts, std::move(exec));
  if (request.stdin()) {
    session.in = std::move(in.write);
  }
  session.out = std::move(out.read);  // read even if not asked for: a full pipe would stop the process
  session.err = std::move(err.read);
  return session;
}

// Attach lives until the container ends or the client goes; then the descriptors close, and the shim lets go.
Result<StreamSession> open_attach(const Located& located, const v1::AttachRequest& request) {
  const auto shim = located.sandbox->shim();
  if (!shim || located.container->state() != v1::CONTAINER_RUNNING) {
    return fail(Kind::conflict, "container {} is not running", located.container->id());
  }
  KEELSON_TRY(auto out, make_pipe(O_NONBLOCK));
  KEELSON_TRY(auto err, make_pipe(O_NONBLOCK));
  KEELSON_TRY(auto in, shim->attach(located.container->id(), out.write.get(), err.write.get(), request.stdin()));
  StreamSession session;
  session.in = std::move(in);
  session.out = std::move(out.read);
  session.err = std::move(err.read);
  auto gone = std::make_shared<std::atomic<bool>>(false);
  session.wait = [located, gone]() -> Result<int> {
    while (!gone->load() &&
           !located.container->wait_stopped(std::chrono::steady_clock::now() + std::chrono::seconds(1))) {
    }
    return located.container->read([](const auto& record) { return record.exit_code(); });
  };
  session.hang_up = [gone] { gone->store(true); };
  if (request.tty() && session.in) {
    KEELSON_TRY(session.resize, resize_by(session.in.get()));
  } else if (request.tty()) {
    session.resize = [located](TerminalSize size) -> Result<> {
      const auto line = located.sandbox->shim();
      return line ? line->resize(located.container->id(), "", size.width, size.height) : Result<>();
    };
  }
  return session;
}

template <class Request>
AskedStreams asked_of(const Request& request) {
  return {.in = request.stdin(), .out = request.stdout(), .err = request.stderr(), .terminal = request.tty()};
}

// What both requests must obey: some stream, and no separate stderr on a terminal.
template <class Request>
Result<Located> validate(const Parts& parts, const Request& request) {
  KEELSON_TRY(auto located, parts.pods.container(request.container_id()));
  if (!request.stdin() && !request.stdout() && !request.stderr()) {
    return fail(Kind::invalid, "one of stdin, stdout, stderr must be asked for");
  }
  if (request.tty() && request.stderr()) {
    return fail(Kind::invalid, "a terminal has no separate stderr");
  }
  if (located.container->state() != v1::CONTAINER_RUNNING) {
    return fail(Kind::conflict, "container {} is not running", located.container->id());
  }
  return located;
}

}  // namespace

grpc::Status RuntimeService::Exec(grpc::ServerContext*, const v1::ExecRequest* request, v1::ExecResponse* response) {
  const auto located = validate(parts_, *request);
  if (!located) {
    return to_status(located);
  }
  auto open = [this, located = *located, copy = *request] { return open_exec(parts_, located, copy); };
  auto url = parts_.streaming->offer("exec", CommandOffer{asked_of(*request), std::move(open)});
  if (url) {
    response->set_url(*url);
  }
  return to_status(url);
}

grpc::Status RuntimeService::Attach(grpc::ServerContext*, const v1::AttachRequest* request,
                                    v1::AttachResponse* response) {
  const auto located = validate(parts_, *request);
  if (!located) {
    return to_status(located);
  }
  auto open = [located = *located, copy = *request] { return open_attach(located, copy); };
  auto url = parts_.streaming->offer("attach", CommandOffer{asked_of(*request), std::move(open)});
  if (url) {
    response->set_url(*url);
  }
  return to_status(url);
}

}  // namespace keelson::cri
