// SPDX-License-Identifier: Apache-2.0
// connection-load serve ADDRESS PORT
// connection-load drive OPEN RATE ADDRESS PORT
// The client keeps OPEN connections, each of which exchanges bytes once a second, and opens RATE others a second, which
// wait a little, so that there are always some at their beginning, exchange bytes and end. It says "ready" once all are
// open. SIGTERM ends both. The server takes what has come by then, refuses what comes later, and goes on with what is
// open until that has ended. The client, once all that it has open has answered again, prints what went wrong:
//   opened N failed N resets N silent N slow N longest_ms N
// failed: could not be opened in 10 s; resets: an open one ended; silent: an open one without an answer for 10 s;
// slow: opened in more than 900 ms, so that something had to be sent twice. Each of these but the slow ones has a line
// of its own, when it happens: time of day, what, ports, how old it was, and why.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kPatience = 10s, kPause = 200ms;
constexpr char kKeep = 'k', kEnd = 'e';  // what the server does after its answer

sockaddr_in6 address_of(const char* text, const char* port) {
  std::string mapped = strchr(text, ':') ? text : std::string("::ffff:") + text;
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(static_cast<uint16_t>(atoi(port)));
  if (inet_pton(AF_INET6, mapped.c_str(), &address.sin6_addr) != 1) {
    std::fprintf(stderr, "%s is no address\n", text);
    exit(2);
  }
  return address;
}

void check(bool good, const char* what) {
  if (!good) {
    std::perror(what);
    exit(1);
  }
}

// epoll, and a descriptor that is readable when the process is to end.
class Poll {
 public:
  Poll() {
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, nullptr);
    signals_ = signalfd(-1, &ends, SFD_CLOEXEC);
    add(signals_, EPOLLIN);
  }
  void add(int fd, uint32_t events) {
    epoll_event event{.events = events, .data = {.fd = fd}};
    check(epoll_ctl(fd_, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
  }
  void change(int fd, uint32_t events) {
    epoll_event event{.events = events, .data = {.fd = fd}};
    epoll_ctl(fd_, EPOLL_CTL_MOD, fd, &event);
  }
  // False once: the process is to end.
  template <class Handle>
  bool run_once(Handle&& handle) {
    epoll_event events[256];
    int count = epoll_wait(fd_, events, 256, -1);
    bool goes_on = true;
    for (int i = 0; i < count; i++) {
      if (events[i].data.fd == signals_) {
        signalfd_siginfo signal{};
        goes_on = read(signals_, &signal, sizeof signal) != sizeof signal;
      } else {
        handle(events[i].data.fd, events[i].events);
      }
    }
    return goes_on;
  }

 private:
  int fd_ = epoll_create1(EPOLL_CLOEXEC);
  int signals_ = -1;
};

class Server {
 public:
  explicit Server(int listener) : listener_(listener) { poll_.add(listener_, EPOLLIN); }

  void run() {
    bool ends = false;
    while (!ends || open_ > 0) {
      bool goes_on = poll_.run_once([&](int fd, uint32_t) { fd == listener_ ? take_all() : answer(fd); });
      if (!goes_on && !std::exchange(ends, true)) {
        take_all();
        close(std::exchange(listener_, -1));
      }
    }
  }

 private:
  void take_all() {
    for (int next, one = 1; (next = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
      setsockopt(next, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      poll_.add(next, EPOLLIN);
      open_++;
    }
  }
  void answer(int fd) {
    char bytes[64];
    auto length = read(fd, bytes, sizeof bytes);
    if (length < 0 && errno == EAGAIN) {
      return;
    }
    if (length <= 0 || write(fd, bytes, static_cast<size_t>(length)) != length || bytes[length - 1] == kEnd) {
      close(fd);
      open_--;
    }
  }

  Poll poll_;
  int listener_;
  size_t open_ = 0;
};

int serve(const char* address, const char* port) {
  auto at = address_of(address, port);
  int listener = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  check(bind(listener, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0 && listen(listener, 4096) == 0, address);
  std::puts("ready");
  std::fflush(stdout);
  Server(listener).run();
  return 0;
}

class Driver {
 public:
  Driver(size_t open, size_t rate, sockaddr_in6 to) : wanted_(open), rate_(rate), to_(to) {}

  int run() {
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    itimerspec every{.it_interval = {0, 10'000'000}, .it_value = {0, 10'000'000}};
    timerfd_settime(timer, 0, &every, nullptr);
    poll_.add(timer, EPOLLIN);
    uint64_t due = 0;
    while (!ends_ || !all_have_answered()) {
      bool goes_on = poll_.run_once([&](int fd, uint32_t events) {
        if (fd == timer) {
          due = read(timer, &due, sizeof due) == sizeof due ? due : 0;
        } else {
          handle(fd, events);
        }
      });
      // After the events, for what begins here may have the descriptor of one of those.
      tick(std::exchange(due, 0));
      if (!goes_on) {
        ends_ = Clock::now();
      }
    }
    std::printf("opened %zu failed %zu resets %zu silent %zu slow %zu longest_ms %lld\n", opened_, failed_, resets_,
                silent_, slow_, static_cast<long long>(longest_.count()));
    return 0;
  }

 private:
  struct Connection {
    bool keep = false, established = false, waits = false;
    Clock::time_point since;
  };

  // Since the process is to end: of the others it is not known yet whether they are whole.
  bool all_have_answered() const {
    return std::ranges::all_of(connections_, [&](const auto& entry) {
      const auto& connection = entry.second;
      return connection.keep && !connection.waits && connection.since >= *ends_;
    });
  }

  void begin_due(uint64_t ticks, Clock::time_point now) {
    size_t start = std::min<size_t>(wanted_ - kept_, ready_ ? wanted_ : 50);
    for (size_t i = 0; i < start; i++) {
      begin(true, now);
    }
    owed_ += ready_ ? static_cast<double>(rate_ * ticks) / 100 : 0;
    for (; owed_ >= 1; owed_ -= 1) {
      begin(false, now);
    }
    if (!ready_ && established_ == wanted_) {
      ready_ = true;
      std::puts("ready");
      std::fflush(stdout);
    }
  }

  void tick(uint64_t ticks) {
    if (ticks == 0) {
      return;
    }
    auto now = Clock::now();
    if (!ends_) {
      begin_due(ticks, now);
    }
    // A hundredth of them each time: every one has its turn once a second.
    for (size_t i = 0; i < wanted_ / 100 + 1 && !turn_.empty(); i++) {
      int fd = turn_.front();
      turn_.pop_front();
      auto known = connections_.find(fd);
      if (known == connections_.end() || !known->second.keep) {
        continue;
      }
      turn_.push_back(fd);
      if (known->second.established && !known->second.waits) {
        ask(fd, known->second, now);
      } else if (now - known->second.since > kPatience) {
        give_up(fd, known->second, now);
      }
    }
    for_due(paused_, now, [&](int fd, Connection& connection) { ask(fd, connection, now); });
    for_due(short_, now, [&](int fd, Connection& connection) { give_up(fd, connection, now); });
  }

  // A connection's turn; by then another may have its descriptor.
  struct Due {
    int fd;
    Clock::time_point since, at;
  };
  template <class Handle>
  void for_due(std::deque<Due>& all, Clock::time_point now, Handle&& handle) {
    while (!all.empty() && all.front().at <= now) {
      auto due = all.front();
      all.pop_front();
      auto known = connections_.find(due.fd);
      if (known != connections_.end() && known->second.since == due.since) {
        handle(due.fd, known->second);
      }
    }
  }

  void give_up(int fd, const Connection& connection, Clock::time_point now) {
    (connection.established ? silent_ : failed_)++;
    tell(connection.established ? "silent" : "failed", fd, connection.since, now, ETIMEDOUT);
    end(fd);
  }

  void tell(const char* what, int fd, Clock::time_point since, Clock::time_point now, int error) const {
    timespec at{};
    clock_gettime(CLOCK_REALTIME, &at);
    tm day{};
    localtime_r(&at.tv_sec, &day);
    sockaddr_in6 own{};
    socklen_t size = sizeof own;
    getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size);
    std::printf("%02d:%02d:%02d.%03ld %s: port %u to %u after %lld ms: %s\n", day.tm_hour, day.tm_min, day.tm_sec,
                at.tv_nsec / 1'000'000, what, ntohs(own.sin6_port), ntohs(to_.sin6_port),
                static_cast<long long>(std::chrono::duration_cast<std::chrono::milliseconds>(now - since).count()),
                error ? strerror(error) : "ended by the other side");
    std::fflush(stdout);
  }

  void begin(bool keep, Clock::time_point now) {
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    check(fd >= 0, "socket");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    kept_ += keep;
    if (connect(fd, reinterpret_cast<const sockaddr*>(&to_), sizeof to_) != 0 && errno != EINPROGRESS) {
      tell("failed", fd, now, now, errno);
      failed_++;
      kept_ -= keep;
      close(fd);
      return;
    }
    connections_[fd] = {.keep = keep, .since = now};
    if (keep) {
      turn_.push_back(fd);
    } else {
      short_.push_back({fd, now, now + kPatience});
    }
    poll_.add(fd, EPOLLOUT);
  }

  void handle(int fd, uint32_t events) {
    auto& connection = connections_.at(fd);
    auto now = Clock::now();
    if (!connection.established) {
      int error = 0;
      socklen_t size = sizeof error;
      getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
      if (error) {
        failed_++;
        tell("failed", fd, connection.since, now, error);
        return end(fd);
      }
      opened_++;
      auto took = std::chrono::duration_cast<std::chrono::milliseconds>(now - connection.since);
      longest_ = std::max(longest_, took);
      slow_ += took > 900ms;
      connection.established = true;
      established_ += connection.keep;
      poll_.change(fd, EPOLLIN);
      if (connection.keep) {
        return ask(fd, connection, now);
      }
      paused_.push_back({fd, connection.since, now + kPause});
      return;
    }
    char bytes[64];
    auto length = read(fd, bytes, sizeof bytes);
    if (length < 0 && errno == EAGAIN) {
      return;
    }
    if (length <= 0 || (events & EPOLLERR)) {
      bool expected = !connection.keep && !connection.waits && length == 0;
      if (!expected) {
        resets_++;
        tell("reset", fd, connection.since, now, length < 0 ? errno : 0);
      }
      return end(fd);
    }
    connection.waits = false;
  }

  void ask(int fd, Connection& connection, Clock::time_point now) {
    const char text[8] = {0, 0, 0, 0, 0, 0, 0, connection.keep ? kKeep : kEnd};
    // Short ones are as old as their beginning.
    if (connection.keep) {
      connection.since = now;
    }
    connection.waits = true;
    if (write(fd, text, sizeof text) != sizeof text) {
      resets_++;
      tell("reset", fd, connection.since, now, errno);
      end(fd);
    }
  }

  void end(int fd) {
    auto known = connections_.find(fd);
    if (known->second.keep) {
      kept_--;
      established_ -= known->second.established;
    }
    connections_.erase(known);
    close(fd);
  }

  size_t wanted_, rate_;
  sockaddr_in6 to_;
  Poll poll_;
  std::unordered_map<int, Connection> connections_;
  std::deque<int> turn_;
  std::deque<Due> short_, paused_;
  double owed_ = 0;
  bool ready_ = false;
  std::optional<Clock::time_point> ends_;
  size_t kept_ = 0, established_ = 0, opened_ = 0, failed_ = 0, resets_ = 0, silent_ = 0, slow_ = 0;
  std::chrono::milliseconds longest_{0};
};

}  // namespace

int main(int count, char** arguments) {
  signal(SIGPIPE, SIG_IGN);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if (count == 4 && strcmp(arguments[1], "serve") == 0) {
    return serve(arguments[2], arguments[3]);
  }
  if (count == 6 && strcmp(arguments[1], "drive") == 0) {
    return Driver(strtoul(arguments[2], nullptr, 10), strtoul(arguments[3], nullptr, 10),
                  address_of(arguments[4], arguments[5]))
        .run();
  }
  std::fputs("usage: connection-load serve ADDRESS PORT | drive OPEN RATE ADDRESS PORT\n", stderr);
  return 2;
}
