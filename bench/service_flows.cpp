// SPDX-License-Identifier: Apache-2.0
// service_flows.h with blocking sockets: the caller and its server share a core, and hand it over to each other.
#include "bench/service_flows.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <thread>

#include "bench/report.h"
#include "bench/service_world.h"
#include "common/fd.h"
#include "common/netns.h"

namespace keelson::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kWarmUp = 200;

double us_between(Clock::time_point start, Clock::time_point end) {
  return std::chrono::duration<double, std::micro>(end - start).count();
}

/// This process in another cgroup while it lives.
class CgroupGuard {
 public:
  explicit CgroupGuard(const std::string& path) {
    if (path.empty()) {
      return;
    }
    const auto root = path.substr(0, path.rfind('/'));
    std::ifstream file("/proc/self/cgroup");
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with("0::")) {
        back_ = root + line.substr(3);
      }
    }
    enter(path);
  }
  CgroupGuard(const CgroupGuard&) = delete;
  CgroupGuard& operator=(const CgroupGuard&) = delete;
  ~CgroupGuard() {
    if (!back_.empty()) {
      enter(back_);
    }
  }

 private:
  static void enter(const std::string& path) { std::ofstream(path + "/cgroup.procs") << ::getpid() << std::flush; }
  std::string back_;
};

/// Sockets of one path, made in its namespace and cgroup.
class Caller {
 public:
  Caller(Caller&&) = default;
  static Result<Caller> make(const ServicePath& path) {
    KEELSON_TRY(auto guard, NetnsGuard::enter(path.netns));
    return Caller(path, std::move(guard));
  }

  Result<Fd> socket(int type) const {
    Fd fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
    if (!fd) {
      return fail_errno(errno, "socket");
    }
    const timeval patience{.tv_sec = 2, .tv_usec = 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return fd;
  }
  Result<> connect(const Fd& fd) const {
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to_), sizeof to_) != 0) {
      return fail_errno(errno, "connect");
    }
    return {};
  }
  static Result<> exchange(const Fd& fd, char byte) {
    char answer = 0;
    if (::send(fd.get(), &byte, 1, MSG_NOSIGNAL) != 1) {
      return fail_errno(errno, "send");
    }
    if (::recv(fd.get(), &answer, 1, 0) != 1 || answer != byte) {
      return fail_errno(errno, "no answer");
    }
    return {};
  }

 private:
  Caller(const ServicePath& path, NetnsGuard guard) : netns_(std::move(guard)) {
    cgroup_ = std::make_unique<CgroupGuard>(path.cgroup);
    to_.sin_family = AF_INET;
    to_.sin_port = htons(path.port);
    inet_pton(AF_INET, path.address.c_str(), &to_.sin_addr);
  }
  NetnsGuard netns_;
  std::unique_ptr<CgroupGuard> cgroup_;
  sockaddr_in to_{};
};

void keep_quantiles(RoundValues& values, const std::string& name, const std::vector<double>& times) {
  values[name + " p50"] = quantile(times, 0.5);
  values[name + " p99"] = quantile(times, 0.99);
}

// The server closes first, so that no port of the client is left in TIME_WAIT.
Result<> connections(const Caller& caller, int count, RoundValues& values) {
  std::vector<double> whole, opening;
  const auto begin = Clock::now();
  for (int i = 0; i < count; i++) {
    const auto start = Clock::now();
    KEELSON_TRY(auto fd, caller.socket(SOCK_STREAM));
    const auto before = Clock::now();
    KEELSON_DO(caller.connect(fd));
    opening.push_back(us_between(before, Clock::now()));
    KEELSON_DO(Caller::exchange(fd, kLastByte));
    char end = 0;
    if (::recv(fd.get(), &end, 1, 0) != 0) {
      return fail_errno(errno, "the server did not close");
    }
    fd.reset();
    whole.push_back(us_between(start, Clock::now()));
  }
  values["crr/s"] = count / us_between(begin, Clock::now()) * 1e6;
  keep_quantiles(values, "crr", whole);
  keep_quantiles(values, "connect", opening);
  return {};
}

Result<> exchanges(const Caller& caller, int type, int count, const std::string& name, RoundValues& values) {
  KEELSON_TRY(auto fd, caller.socket(type));
  KEELSON_DO(caller.connect(fd));
  std::vector<double> times;
  for (int i = 0; i < kWarmUp + count; i++) {
    const auto start = Clock::now();
    KEELSON_DO(Caller::exchange(fd, 'x'));
    if (i >= kWarmUp) {
      times.push_back(us_between(start, Clock::now()));
    }
  }
  keep_quantiles(values, name, times);
  return {};
}

Result<> first_packets(const Caller& caller, int count, RoundValues& values) {
  std::vector<double> times;
  for (int i = 0; i < count; i++) {
    KEELSON_TRY(auto fd, caller.socket(SOCK_DGRAM));
    const auto start = Clock::now();
    KEELSON_DO(caller.connect(fd));
    KEELSON_DO(Caller::exchange(fd, 'x'));
    times.push_back(us_between(start, Clock::now()));
  }
  keep_quantiles(values, "first", times);
  return {};
}

Result<RoundValues> round_of(const ServicePath& path, const RoundSize& size) {
  KEELSON_TRY(auto caller, Caller::make(path));
  RoundValues values;
  KEELSON_DO(connections(caller, size.connections, values).context("connections"));
  KEELSON_DO(exchanges(caller, SOCK_STREAM, size.requests, "rr", values).context("requests"));
  KEELSON_DO(exchanges(caller, SOCK_DGRAM, size.datagrams, "udp", values).context("datagrams"));
  KEELSON_DO(first_packets(caller, size.flows, values).context("new UDP flows"));
  return values;
}

}  // namespace

Result<> wait_until_served(const ServicePath& path) {
  const auto end = Clock::now() + std::chrono::seconds(2);
  for (;;) {
    auto done = round_of(path, {.connections = 20, .requests = 1, .datagrams = 1, .flows = 20});
    if (done) {
      return {};
    }
    if (Clock::now() > end) {
      return std::unexpected(std::move(done).error().with_context(path.name));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

Result<std::vector<PathValues>> measure(const std::vector<ServicePath>& paths, const RoundSize& size, int rounds,
                                        int core) {
  CoreGuard pinned(core);
  std::vector<PathValues> all(paths.size());
  for (int round = 0; round < rounds; round++) {
    for (size_t i = 0; i < paths.size(); i++) {
      const size_t turn = (i + static_cast<size_t>(round)) % paths.size();
      KEELSON_TRY(auto values, round_of(paths[turn], size).context("{}", paths[turn].name));
      for (const auto& [metric, value] : values) {
        all[turn][metric].push_back(value);
      }
    }
  }
  return all;
}

}  // namespace keelson::bench
