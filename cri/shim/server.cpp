// SPDX-License-Identifier: Apache-2.0
// epoll over the listener, connections, SIGCHLD, the channels of new processes, and the output of containers.
#include "cri/shim/server.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>

#include <array>
#include <csignal>
#include <cstring>

#include "common/atomic_file.h"
#include "common/clock.h"
#include "cri/shim/container.h"
#include "cri/shim/frames.h"

namespace keelson::cri::shim {

namespace {
constexpr const char* kSocketName = "shim.sock";
}  // namespace

Result<> save_exit(const std::string& run_dir, const ProcessStatus& status) {
  return write_file_atomic(fmt::format("{}/{}.exit", run_dir, status.container_id), encode(status), 0600);
}

Result<Listener> Listener::open(const std::string& run_dir) {
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  KEELSON_TRY(auto folder, open_file(run_dir, O_PATH | O_DIRECTORY));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // By the folder's descriptor, so that a long path fits into sun_path.
  auto path = fmt::format("/proc/self/fd/{}/{}", folder.get(), kSocketName);
  ::unlink(path.c_str());
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (!socket || ::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 ||
      ::listen(socket.get(), 64) < 0) {
    return fail_errno(errno, "serve {}/{}", run_dir, kSocketName);
  }
  return Listener(std::move(socket), std::move(folder));
}

void Listener::close() {
  if (folder_) {
    ::unlinkat(folder_.get(), kSocketName, 0);
    folder_.reset();
    socket_.reset();
  }
}

namespace {

int64_t now_ns() {
  return real_clock().wall().time_since_epoch().count();
}

/// What an epoll event is about: a kind, and the number of the object (connection, or fd).
enum class Source : uint32_t { listener, signals, connection, channel, output };

struct Connection {
  Fd socket;
  FrameReader reader;
  bool subscribed = false;
};

class Loop {
 public:
  Loop(Sandbox& sandbox, Listener listener) : sandbox_(sandbox), listener_(std::move(listener)) {}

  void run() {
    epoll_ = Fd(::epoll_create1(EPOLL_CLOEXEC));
    sigset_t child;
    ::sigemptyset(&child);
    ::sigaddset(&child, SIGCHLD);
    signals_ = Fd(::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
    watch(listener_.fd(), Source::listener, 0);
    watch(signals_.get(), Source::signals, 0);
    std::array<epoll_event, 32> events{};
    while (!ending_) {
      int n = ::epoll_wait(epoll_.get(), events.data(), events.size(), -1);
      for (int i = 0; i < n && !ending_; ++i) {
        auto number = static_cast<uint32_t>(events[static_cast<size_t>(i)].data.u64);
        dispatch(static_cast<Source>(events[static_cast<size_t>(i)].data.u64 >> 32), number);
      }
    }
  }

 private:
  void watch(int fd, Source source, uint32_t number) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = (static_cast<uint64_t>(source) << 32) | number;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
  }

  void dispatch(Source source, uint32_t number) {
    switch (source) {
      case Source::listener:
        accept_one();
        break;
      case Source::signals:
        reap();
        break;
      case Source::connection:
        hear(number);
        break;
      case Source::channel:
        hear_child(static_cast<int>(number));
        break;
      case Source::output:
        pump(static_cast<int>(number));
        break;
    }
  }

  void accept_one() {
    Fd socket(::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket) {
      auto number = ++last_connection_;
      watch(socket.get(), Source::connection, number);
      connections_[number].socket = std::move(socket);
    }
  }

  void hear(uint32_t number) {
    auto found = connections_.find(number);
    if (found == connections_.end()) {
      return;
    }
    auto more = found->second.reader.fill(found->second.socket.get());
    while (more) {
      auto frame = found->second.reader.next();
      if (!frame || !*frame) {
        more = frame ? std::move(more) : Result<bool>(false);
        break;
      }
      answer(number, std::move(**frame));
      if (ending_ || !connections_.contains(number)) {
        return;
      }
    }
    if (!more || !*more) {
      connections_.erase(number);
    }
  }

  // --- requests ---

  void answer(uint32_t number, Frame frame) {
    auto request = decode<Request>(frame.body);
    if (!request) {
      reply(number, std::unexpected(std::move(request).error()));
      return;
    }
    if (auto done = handle(number, *request, frame.fds)) {
      reply(number, std::move(*done));
    }
  }

  struct Answer {
    std::vector<ProcessStatus> statuses;
    int fd = -1;  ///< passed along, stays ours
    Fd given{};   ///< instead: passed along and closed here
  };

  void reply(uint32_t number, Result<Answer> answer) {
    auto found = connections_.find(number);
    if (found == connections_.end()) {
      return;
    }
    Reply message;
    std::vector<int> fds;
    if (answer) {
      message.statuses = std::move(answer->statuses);
      if (auto fd = answer->given ? answer->given.get() : answer->fd; fd >= 0) {
        fds.push_back(fd);
      }
    } else {
      message.ok = false;
      message.error_kind = static_cast<uint32_t>(answer.error().kind());
      message.error_code = answer.error().code();
      message.error = answer.error().message();
    }
    if (!send_frame(found->second.socket.get(), FrameType::reply, encode(message), fds)) {
      connections_.erase(found);
    }
  }

  /// The answer, or nothing if it comes later.
  std::optional<Result<Answer>> handle(uint32_t number, Request& request, std::vector<Fd>& fds) {
    switch (request.verb) {
      case Verb::create:
        return later(create(number, std::move(request.spec)));
      case Verb::start:
        return later(start(number, request.container_id));
      case Verb::exec:
        return later(exec(number, request, fds));
      case Verb::signal:
        return simple(signal(request));
      case Verb::attach:
        return attach(request, fds);
      case Verb::resize:
        return simple(resize(request));
      case Verb::reopen_log:
        return simple(with(request.container_id, [](Container& c) { return c.log.reopen(); }));
      case Verb::remove:
        return simple(remove(request.container_id));
      case Verb::state:
        return state();
      case Verb::subscribe:
        connections_[number].subscribed = true;
        return Answer{};
      case Verb::shutdown:
        shutdown(number);
        return std::nullopt;
    }
    return fail(Kind::unsupported, "this shim does not know request {}; it is older than the daemon",
                static_cast<int>(request.verb));
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

  Result<Container*> find(const std::string& id) {
    auto found = containers_.find(id);
    if (found == containers_.end()) {
      return fail(Kind::not_found, "container {} is not in this sandbox", id);
    }
    return found->second.get();
  }

  template <class F>
  Result<> with(const std::string& id, F function) {
    KEELSON_TRY(auto* container, find(id));
    return function(*container);
  }

  Result<> create(uint32_t number, ContainerSpec spec) {
    if (containers_.contains(spec.id)) {
      return fail(Kind::exists, "container {} is already there", spec.id);
    }
    auto container = std::make_unique<Container>(std::move(spec));
    KEELSON_DO(container->log.open());
    ChildStdio stdio;
    const auto& wanted = container->spec;
    if (!wanted.process.tty) {
      KEELSON_DO(make_pipes(*container, stdio));
    }
    KEELSON_TRY(container->process.child, clone_container(wanted, std::move(stdio), sandbox_.pidns()));
    auto& process = container->process;
    process.status.container_id = wanted.id;
    process.status.pid = process.child.pid;
    process.status.created_at = now_ns();
    process.waiting_for = number;
    process.waiting_verb = Verb::create;
    watch(process.child.channel.get(), Source::channel, static_cast<uint32_t>(process.child.channel.get()));
    containers_[wanted.id] = std::move(container);
    return {};
  }

  Result<> make_pipes(Container& container, ChildStdio& stdio) {
    for (int i = 0; i < 2; ++i) {
      int ends[2];
      if (::pipe2(ends, O_CLOEXEC) < 0) {
        return fail_errno(errno, "make a pipe");
      }
      container.output[i] = Fd(ends[0]);
      (i == 0 ? stdio.out : stdio.error) = Fd(ends[1]);
      ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
      watch(ends[0], Source::output, static_cast<uint32_t>(ends[0]));
    }
    if (container.spec.stdin_open) {
      int ends[2];
      if (::pipe2(ends, O_CLOEXEC) < 0) {
        return fail_errno(errno, "make a pipe");
      }
      stdio.in = Fd(ends[0]);
      container.input = Fd(ends[1]);
    }
    return {};
  }

  Result<> start(uint32_t number, const std::string& id) {
    KEELSON_TRY(auto* container, find(id));
    auto& process = container->process;
    if (process.status.state != ProcessState::created || process.waiting_for != 0) {
      return fail(Kind::conflict, "container {} has been started already", id);
    }
    KEELSON_DO(release(process.child.channel.get()));
    process.waiting_for = number;
    process.waiting_verb = Verb::start;
    return {};
  }

  Result<> exec(uint32_t number, Request& request, std::vector<Fd>& fds) {
    KEELSON_TRY(auto* container, find(request.container_id));
    if (container->process.status.state != ProcessState::running) {
      return fail(Kind::conflict, "container {} is not running", request.container_id);
    }
    if (container->execs.contains(request.exec_id)) {
      return fail(Kind::exists, "exec {} is already there", request.exec_id);
    }
    ChildStdio stdio;
    if (fds.size() >= 3) {
      stdio = {.in = std::move(fds[0]), .out = std::move(fds[1]), .error = std::move(fds[2])};
    }
    Process process;
    KEELSON_TRY(process.child,
                clone_exec(container->spec, request.process, std::move(stdio), container->process.child.pidfd.get()));
    process.status.container_id = request.container_id;
    process.status.exec_id = request.exec_id;
    process.status.pid = process.child.pid;
    process.status.created_at = now_ns();
    process.waiting_for = number;
    process.waiting_verb = Verb::exec;
    watch(process.child.channel.get(), Source::channel, static_cast<uint32_t>(process.child.channel.get()));
    container->execs[request.exec_id] = std::move(process);
    return {};
  }

  Result<> signal(const Request& request) {
    KEELSON_TRY(auto* container, find(request.container_id));
    auto* process = &container->process;
    if (!request.exec_id.empty()) {
      auto found = container->execs.find(request.exec_id);
      if (found == container->execs.end()) {
        return {};
      }
      process = &found->second;
    }
    if (process->status.state == ProcessState::exited) {
      return {};
    }
    if (request.all) {
      kill_members(*container, request.number);
    }
    if (::syscall(SYS_pidfd_send_signal, process->child.pidfd.get(), request.number, nullptr, 0) < 0 &&
        errno != ESRCH) {
      return fail_errno(errno, "signal container {}", request.container_id);
    }
    return {};
  }

  /// Every process of the container's cgroup, for containers that share a PID namespace.
  static void kill_members(const Container& container, int number) {
    for (const auto& file : container.spec.cgroup_procs) {
      auto text = read_file(file);
      if (!text) {
        continue;
      }
      for (size_t at = 0; at < text->size(); at = text->find('\n', at) + 1) {
        if (auto pid = std::atoi(text->c_str() + at); pid > 0) {
          ::kill(pid, number);
        }
        if (text->find('\n', at) == std::string::npos) {
          break;
        }
      }
      return;
    }
  }

  Result<Answer> attach(const Request& request, std::vector<Fd>& fds) {
    KEELSON_TRY(auto* container, find(request.container_id));
    // A terminal has one stream for both.
    size_t streams = container->spec.process.tty ? 1 : 2;
    for (size_t i = 0; i < streams && i < fds.size(); ++i) {
      ::fcntl(fds[i].get(), F_SETFL, O_NONBLOCK);
      container->copies[i].push_back(std::move(fds[i]));
    }
    if (request.output_only) {
      return Answer{};
    }
    if (container->spec.process.tty) {
      return Answer{.statuses = {}, .fd = container->process.terminal.get()};
    }
    return container->spec.stdin_once ? Answer{.statuses = {}, .fd = -1, .given = std::move(container->input)}
                                      : Answer{.statuses = {}, .fd = container->input.get()};
  }

  Result<> resize(const Request& request) {
    KEELSON_TRY(auto* container, find(request.container_id));
    auto* process = &container->process;
    if (!request.exec_id.empty()) {
      auto found = container->execs.find(request.exec_id);
      if (found == container->execs.end()) {
        return fail(Kind::not_found, "exec {} has ended", request.exec_id);
      }
      process = &found->second;
    }
    winsize size{};
    size.ws_col = static_cast<unsigned short>(request.width);
    size.ws_row = static_cast<unsigned short>(request.height);
    if (!process->terminal || ::ioctl(process->terminal.get(), TIOCSWINSZ, &size) < 0) {
      return fail(Kind::conflict, "container {} has no terminal", request.container_id);
    }
    return {};
  }

  Result<> remove(const std::string& id) {
    auto found = containers_.find(id);
    if (found == containers_.end()) {
      return {};
    }
    auto& container = *found->second;
    kill_all(container);
    ::unlink(fmt::format("{}/{}.exit", sandbox_.spec().run_dir, id).c_str());
    for (auto& output : container.output) {
      if (output) {
        drain(container, output.get());
      }
    }
    containers_.erase(found);
    return {};
  }

  void kill_all(Container& container) {
    kill_members(container, SIGKILL);
    auto end = [](Process& process) {
      if (process.status.state != ProcessState::exited && process.child.pid > 0) {
        ::kill(process.child.pid, SIGKILL);
        ::waitpid(process.child.pid, nullptr, 0);
        process.status.state = ProcessState::exited;
      }
    };
    end(container.process);
    for (auto& [id, process] : container.execs) {
      end(process);
    }
  }

  Answer state() {
    Answer answer;
    for (const auto& [id, container] : containers_) {
      answer.statuses.push_back(container->process.status);
      for (const auto& [exec_id, process] : container->execs) {
        answer.statuses.push_back(process.status);
      }
    }
    return answer;
  }

  void shutdown(uint32_t number) {
    for (auto& [id, container] : containers_) {
      kill_all(*container);
    }
    containers_.clear();
    listener_.close();
    ending_ = true;
    sandbox_.close();
    reply(number, Answer{});
  }

  // --- new processes ---

  Process* process_of_channel(int channel, Container*& owner) {
    for (auto& [id, container] : containers_) {
      owner = container.get();
      if (container->process.child.channel.get() == channel) {
        return &container->process;
      }
      for (auto& [exec_id, process] : container->execs) {
        if (process.child.channel.get() == channel) {
          return &process;
        }
      }
    }
    return nullptr;
  }

  void hear_child(int channel) {
    Container* container = nullptr;
    auto* process = process_of_channel(channel, container);
    if (process == nullptr) {
      return;
    }
    auto heard = read_child(channel);
    if (heard && !*heard) {
      return;
    }
    if (!heard || (*heard)->what == ChildMessage::What::failed) {
      failed(*container, *process, heard ? (*heard)->error : heard.error());
      return;
    }
    auto& message = **heard;
    if (message.terminal) {
      process->terminal = std::move(message.terminal);
      if (process->status.exec_id.empty()) {
        ::fcntl(process->terminal.get(), F_SETFL, O_NONBLOCK);
        container->output[0] = *duplicate(process->terminal.get());
        watch(container->output[0].get(), Source::output, static_cast<uint32_t>(container->output[0].get()));
      }
    }
    if (message.what == ChildMessage::What::ready) {
      process->made = true;
      if (process->waiting_verb == Verb::create) {
        answer_waiting(*process, -1);
      }
      return;
    }
    // End of file: exec has happened, or a container that was never started is gone.
    process->child.channel.reset();
    if (process->waiting_verb == Verb::start || process->waiting_verb == Verb::exec) {
      process->status.state = ProcessState::running;
      process->status.started_at = now_ns();
      answer_waiting(*process, process->status.exec_id.empty() ? -1 : process->terminal.get());
    }
  }

  void answer_waiting(Process& process, int fd) {
    auto number = std::exchange(process.waiting_for, 0);
    if (number != 0) {
      reply(static_cast<uint32_t>(number), Answer{.statuses = {process.status}, .fd = fd});
    }
  }

  void failed(Container& container, Process& process, const Error& error) {
    auto number = std::exchange(process.waiting_for, 0);
    auto verb = process.waiting_verb;
    process.child.channel.reset();
    if (process.child.pid > 0) {
      ::kill(process.child.pid, SIGKILL);
      ::waitpid(process.child.pid, nullptr, 0);
    }
    if (verb == Verb::exec) {
      container.execs.erase(process.status.exec_id);
    } else if (verb == Verb::create) {
      containers_.erase(container.spec.id);
    } else {
      process.status.state = ProcessState::exited;
      process.status.exit_code = 128;
      process.status.started_at = process.status.finished_at = now_ns();
      if (auto saved = save_exit(sandbox_.spec().run_dir, process.status); !saved) {
        // Nobody listens to a shim's own troubles; the status stays in memory.
      }
      publish(process.status);
    }
    if (number != 0) {
      reply(static_cast<uint32_t>(number), std::unexpected(error));
    }
  }

  // --- ends ---

  void reap() {
    signalfd_siginfo info[8];
    while (::read(signals_.get(), info, sizeof info) > 0) {
    }
    int status = 0;
    pid_t pid = 0;
    while ((pid = ::waitpid(-1, &status, WNOHANG)) > 0) {
      ended(pid, status);
    }
  }

  void ended(pid_t pid, int status) {
    for (auto& [id, container] : containers_) {
      if (container->process.child.pid == pid) {
        hear_last_words(container->process);
        if (container->process.waiting_verb == Verb::create &&
            container->process.status.state != ProcessState::running && !container->process.made) {
          containers_.erase(id);
          return;
        }
        process_ended(*container, container->process, status);
        return;
      }
      for (auto& [exec_id, process] : container->execs) {
        if (process.child.pid == pid) {
          hear_last_words(process);
          process_ended(*container, process, status);
          container->execs.erase(exec_id);
          return;
        }
      }
    }
  }

  void process_ended(Container& container, Process& process, int status) {
    auto& told = process.status;
    told.state = ProcessState::exited;
    told.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    told.exit_code = WIFSIGNALED(status) ? 128 + told.signal : WEXITSTATUS(status);
    told.finished_at = now_ns();
    if (told.started_at == 0) {
      told.started_at = told.finished_at;
    }
    if (told.exec_id.empty()) {
      for (auto& output : container.output) {
        if (output) {
          drain(container, output.get());
        }
      }
      if (auto saved = save_exit(sandbox_.spec().run_dir, told); !saved) {
        // The status stays in memory; only a killed shim would lose it.
      }
    }
    publish(told);
  }

  /// A process may end before its channel was read: what it said there decides what the waiting caller is told.
  void hear_last_words(Process& process) {
    if (!process.child.channel) {
      return;
    }
    auto heard = read_child(process.child.channel.get());
    while (heard && *heard && (*heard)->what == ChildMessage::What::ready) {
      process.made = true;
      heard = read_child(process.child.channel.get());
    }
    process.child.channel.reset();
    if (heard && *heard && (*heard)->what == ChildMessage::What::failed) {
      refuse_waiting(process, (*heard)->error);
    } else if (process.waiting_verb == Verb::create) {
      refuse_waiting(process, Error(Kind::internal, "the container's process was killed while it was made"));
    } else {
      process.status.started_at = now_ns();
      process.status.state = ProcessState::running;
      answer_waiting(process, process.terminal.get());
    }
  }

  void refuse_waiting(Process& process, const Error& error) {
    if (auto number = std::exchange(process.waiting_for, 0); number != 0) {
      reply(static_cast<uint32_t>(number), std::unexpected(error));
    }
  }

  void publish(const ProcessStatus& status) {
    auto body = encode(Event{.status = status});
    for (auto it = connections_.begin(); it != connections_.end();) {
      bool gone = it->second.subscribed && !send_frame(it->second.socket.get(), FrameType::event, body);
      it = gone ? connections_.erase(it) : std::next(it);
    }
  }

  // --- output ---

  void pump(int fd) {
    for (auto& [id, container] : containers_) {
      for (int i = 0; i < 2; ++i) {
        if (container->output[i].get() == fd) {
          if (!copy_once(*container, i)) {
            end_output(*container, i);
          }
          return;
        }
      }
    }
  }

  void drain(Container& container, int fd) {
    int index = container.output[0].get() == fd ? 0 : 1;
    // As much as a pipe can hold: a background process may keep its end open and go on writing.
    for (int i = 0; i < 64; ++i) {
      if (!copy_once(container, index)) {
        end_output(container, index);
        return;
      }
      pollfd more{fd, POLLIN, 0};
      if (::poll(&more, 1, 0) <= 0) {
        return;
      }
    }
  }

  /// False at the end of the stream.
  bool copy_once(Container& container, int index) {
    std::array<char, 32768> data;
    ssize_t n = ::read(container.output[index].get(), data.data(), data.size());
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
      return true;
    }
    if (n <= 0) {
      return false;
    }
    std::string_view text(data.data(), static_cast<size_t>(n));
    if (auto written = container.log.write(static_cast<Stream>(index), text, now_ns()); !written) {
      // A full disk loses log lines, never blocks the container.
    }
    auto& copies = container.copies[index];
    for (auto it = copies.begin(); it != copies.end();) {
      // A reader that is too slow is let go.
      bool taken = ::write(it->get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
      it = taken ? std::next(it) : copies.erase(it);
    }
    return true;
  }

  void end_output(Container& container, int index) {
    if (auto written = container.log.finish(static_cast<Stream>(index), now_ns()); !written) {
      // As above.
    }
    // A terminal's master has a second descriptor: closing this one alone would leave it in the epoll set, ready for
    // ever.
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, container.output[index].get(), nullptr);
    container.output[index].reset();
    container.copies[index].clear();
  }

  Sandbox& sandbox_;
  Listener listener_;
  Fd epoll_;
  Fd signals_;
  bool ending_ = false;
  uint32_t last_connection_ = 0;
  std::map<uint32_t, Connection> connections_;
  std::map<std::string, std::unique_ptr<Container>> containers_;
};

}  // namespace

void serve(Sandbox& sandbox, Listener listener) {
  Loop(sandbox, std::move(listener)).run();
}

}  // namespace keelson::cri::shim
