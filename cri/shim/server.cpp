// SPDX-License-Identifier: Apache-2.0
// server.h: who is ready, and what each request means.
#include "cri/shim/server.h"

#include <sys/signalfd.h>

#include <csignal>
#include <optional>

#include "cri/shim/connections.h"
#include "cri/shim/container_table.h"

namespace keelson::cri::shim {

namespace {

class Server {
 public:
  Server(Sandbox& sandbox, Listener listener, Poller& poller)
      : sandbox_(sandbox),
        poller_(poller),
        connections_(std::move(listener), poller),
        containers_(sandbox, poller, connections_) {}

  void run() {
    sigset_t child;
    ::sigemptyset(&child);
    ::sigaddset(&child, SIGCHLD);
    signals_ = Fd(::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
    const auto watch = poller_.watch(signals_.get(), Source::signals, 0);
    while (!ending_) {
      for (const auto& ready : poller_.wait()) {
        if (ending_) {
          break;
        }
        dispatch(ready);
      }
    }
  }

 private:
  void dispatch(const Poller::Ready& ready) {
    switch (ready.source) {
      case Source::listener:
        connections_.accept_one();
        break;
      case Source::signals:
        drain_signals();
        containers_.reap();
        break;
      case Source::connection:
        if (ready.writable) {
          connections_.send_rest(ready.number);
        }
        if (ready.readable) {
          connections_.hear(ready.number, [&](Frame frame) { answer(ready.number, std::move(frame)); });
        }
        break;
      case Source::channel:
        containers_.hear_channel(static_cast<int>(ready.number));
        break;
      case Source::output:
        containers_.pump(static_cast<int>(ready.number));
        break;
    }
  }

  void drain_signals() {
    signalfd_siginfo info[8];
    while (::read(signals_.get(), info, sizeof info) > 0) {
    }
  }

  void answer(uint32_t number, Frame frame) {
    auto request = decode<Request>(frame.body);
    if (!request) {
      connections_.reply(number, std::unexpected(std::move(request).error()));
      return;
    }
    if (auto done = handle(number, *request, frame.fds)) {
      connections_.reply(number, std::move(*done));
    }
  }

  /// The answer, or nothing if it comes later.
  std::optional<Result<Answer>> handle(uint32_t number, Request& request, std::vector<Fd>& fds) {
    switch (request.verb) {
      case Verb::create:
        return later(containers_.create(number, std::move(request.spec)));
      case Verb::start:
        return later(containers_.start(number, request.container_id));
      case Verb::exec:
        return later(containers_.exec(number, request, fds));
      case Verb::signal:
        return containers_.is_made_by_runtime(request) ? later(containers_.signal_by_runtime(number, request))
                                                       : simple(containers_.signal(request));
      case Verb::attach:
        return containers_.attach(request, fds);
      case Verb::resize:
        return simple(containers_.resize(request));
      case Verb::reopen_log:
        return simple(containers_.reopen_log(request.container_id));
      case Verb::remove:
        return simple(containers_.remove(request.container_id));
      case Verb::state:
        return containers_.state();
      case Verb::subscribe:
        connections_.subscribe(number);
        return Answer{};
      case Verb::shutdown:
        return simple(shutdown());
    }
    return fail(Kind::unsupported, "this shim does not know request {}; it is older than the daemon",
                static_cast<int>(request.verb));
  }

  Result<> shutdown() {
    KEELSON_DO(containers_.remove_all());
    connections_.close_door();
    sandbox_.close();
    ending_ = true;
    return {};
  }

  static std::optional<Result<Answer>> later(Result<> outcome) {
    if (outcome) {
      return std::nullopt;
    }
    return std::unexpected(std::move(outcome).error());
  }
  static std::optional<Result<Answer>> simple(Result<> outcome) {
    if (outcome) {
      return Answer{};
    }
    return std::unexpected(std::move(outcome).error());
  }

  Sandbox& sandbox_;
  Poller& poller_;
  Connections connections_;
  ContainerTable containers_;
  Fd signals_;
  bool ending_ = false;
};

}  // namespace

void serve(Sandbox& sandbox, Listener listener) {
  if (auto poller = Poller::open()) {
    Server(sandbox, std::move(listener), *poller).run();
  }
}

}  // namespace keelson::cri::shim
