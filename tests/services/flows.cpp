// SPDX-License-Identifier: Apache-2.0
#include "tests/services/flows.h"

#include <fmt/format.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <sstream>
#include <utility>
#include <vector>

#include "ebpf/testing.h"
#include "tests/services/stray_segment.h"

namespace keelson::services {
namespace {

// For what comes, also on a busy machine; and to see that nothing comes. A SYN is sent again after a second, and only
// then an ICMP error is sure to find the socket at rest.
constexpr int kPatience = 15'000;
constexpr int kStreamSilence = 2500;
constexpr int kDatagramSilence = 1000;

std::string words_of(int error) {
  switch (error) {
    case ECONNREFUSED:
      return "refused";
    case ECONNRESET:
    case EPIPE:
      return "reset";
    case EHOSTUNREACH:
    case ENETUNREACH:
      return "unreachable";
    case EPERM:
    case EACCES:
      return "not permitted";
    case ENOBUFS:  // dropped where it leaves: without IP_RECVERR a program is not told
      return "no answer";
    default:
      return error == 0 || error == EAGAIN || error == ETIMEDOUT ? "no answer" : strerror(error);
  }
}

bool wait_for(int fd, short events, int patience) {
  pollfd one{fd, events, 0};
  return poll(&one, 1, patience) == 1;
}

int connect_to(int fd, const ebpf::testing::Sockaddr& to, int patience) {
  if (::connect(fd, to.get(), to.size) == 0) {
    return 0;
  }
  if (errno != EINPROGRESS) {
    return errno;
  }
  if (!wait_for(fd, POLLOUT, patience)) {
    return ETIMEDOUT;
  }
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

// What was told stays told, and keeps the socket awake, until it is fetched.
void forget_errors(int fd) {
  char control[512], data[64];
  iovec part{data, sizeof data};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  do {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
  } while (recvmsg(fd, &message, MSG_ERRQUEUE) >= 0);
}

struct Received {
  std::string text;
  ebpf::testing::Sockaddr from;
  int error = 0;  ///< With no text.
};

Received receive(int fd, int patience) {
  Received result;
  if (!wait_for(fd, POLLIN, patience)) {
    result.error = ETIMEDOUT;
    return result;
  }
  std::string buffer(65536, 0);
  auto length = recvfrom(fd, buffer.data(), buffer.size(), 0, result.from.get(), &result.from.size);
  result.error = length < 0 ? errno : length == 0 ? ECONNRESET : 0;
  if (length < 0) {
    forget_errors(fd);
  }
  buffer.resize(std::max<ssize_t>(length, 0));
  result.text = std::move(buffer);
  return result;
}

std::string mtu_of(int fd, int family) {
  int mtu = 0;
  socklen_t size = sizeof mtu;
  getsockopt(fd, family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6, family == AF_INET ? IP_MTU : IPV6_MTU, &mtu, &size);
  return fmt::format("too big, MTU {}", mtu);
}

void never_cut(int fd, int family) {
  int on = family == AF_INET ? IP_PMTUDISC_DO : IPV6_PMTUDISC_DO;
  setsockopt(fd, family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6, family == AF_INET ? IP_MTU_DISCOVER : IPV6_MTU_DISCOVER,
             &on, sizeof on);
}

// Without a peer a socket is told of errors only if it asks.
void ask_for_errors(int fd, int family) {
  int on = 1;
  setsockopt(fd, family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6, family == AF_INET ? IP_RECVERR : IPV6_RECVERR, &on,
             sizeof on);
}

// "pod1+pod2 see client; refused", in the order of the names.
std::string together(const std::map<std::string, std::set<std::string>>& servers_by_rest, bool same_wanted) {
  std::string result;
  for (const auto& [rest, servers] : servers_by_rest) {
    std::string names;
    for (const auto& server : servers) {
      names += names.empty() ? server : server.empty() ? "" : "+" + server;
    }
    if (same_wanted && servers.size() == 1 && !names.empty()) {
      names = "always the same";
    }
    result += result.empty() ? "" : "; ";
    if (names.empty()) {
      result += rest;
    } else {
      result += names + (servers.size() > 1 ? " see " : " sees ") + rest;
    }
  }
  return result;
}

}  // namespace

Flows::Seen Flows::answered(const Send& send, int fd, const std::string& text, const std::string& from,
                            uint16_t port) const {
  std::istringstream words(text);
  Seen seen;
  words >> seen.server >> seen.source >> seen.source_port;
  seen.rest = World::name_of(seen.source);
  if (from != ebpf::testing::Sockaddr::of(send.address, 0).host() || port != send.port) {
    seen.rest += fmt::format(", answer from {}:{}", World::name_of(from), port);
  }
  if (send.size > 0 && text.size() != static_cast<size_t>(send.size)) {
    seen.rest += fmt::format(", {} bytes", text.size());
  }
  (void)fd;
  return seen;
}

Flows::Seen Flows::ask_stream(const Send& send, int fd, bool connect) {
  const int patience = may_be_silent_ ? kStreamSilence : kPatience;
  if (connect) {
    if (int error = connect_to(fd, ebpf::testing::Sockaddr::of(send.address, send.port), patience)) {
      return {.server = "", .source = "", .rest = words_of(error)};
    }
  } else if (::send(fd, "again\n", 6, MSG_NOSIGNAL) < 0) {
    return {.server = "", .source = "", .rest = words_of(errno)};
  }
  auto received = receive(fd, patience);
  if (received.text.empty()) {
    return {.server = "", .source = "", .rest = words_of(received.error)};
  }
  ebpf::testing::Sockaddr peer;
  getpeername(fd, peer.get(), &peer.size);
  return answered(send, fd, received.text, peer.host(), peer.port());
}

Flows::Seen Flows::ask_datagram(const Send& send, int fd) {
  auto to = ebpf::testing::Sockaddr::of(send.address, send.port);
  int family = to.storage.ss_family;
  std::string question(std::max(send.size, 8), 'q');
  bool connected = send.protocol == "connected";
  // The first of two may be what teaches the kernel that the way is narrow.
  const int patience = may_be_silent_ || send.whole ? kDatagramSilence : kPatience;
  for (int turn = 0; turn < (send.whole ? 3 : 1); turn++) {
    auto sent = connected ? ::send(fd, question.data(), question.size(), MSG_NOSIGNAL)
                          : sendto(fd, question.data(), question.size(), MSG_NOSIGNAL, to.get(), to.size);
    int error = sent < 0 ? errno : 0;
    if (error == 0) {
      auto received = receive(fd, patience);
      if (!received.text.empty()) {
        return answered(send, fd, received.text, received.from.host(), received.from.port());
      }
      error = received.error;
    }
    if (error == EMSGSIZE) {
      return {.server = "", .source = "", .rest = mtu_of(fd, family)};
    }
    if (error != ETIMEDOUT || !send.whole) {
      return {.server = "", .source = "", .rest = words_of(error)};
    }
  }
  return {.server = "", .source = "", .rest = "no answer"};
}

Flows::Seen Flows::once(const Send& send, int turn, Fd* kept) {
  int family = ebpf::testing::is_v6(send.address) ? AF_INET6 : AF_INET;
  bool stream = send.protocol == "tcp";
  auto socket = world_.socket(send.who, family, stream ? SOCK_STREAM : SOCK_DGRAM, turn);
  int fd = socket.get();
  Seen seen;
  if (stream) {
    seen = ask_stream(send, fd, true);
  } else {
    if (send.whole) {
      never_cut(fd, family);
    }
    ask_for_errors(fd, family);
    auto to = ebpf::testing::Sockaddr::of(send.address, send.port);
    if (send.protocol == "connected" && ::connect(fd, to.get(), to.size) != 0) {
      return {.server = "", .source = "", .rest = words_of(errno)};
    }
    seen = ask_datagram(send, fd);
  }
  if (kept) {
    *kept = std::move(socket);
  }
  return seen;
}

std::string Flows::send(const Send& send, bool may_be_silent) {
  may_be_silent_ = may_be_silent;
  if (send.protocol == "http") {
    return http(send);
  }
  std::map<std::string, std::set<std::string>> servers_by_rest;
  std::vector<std::string> servers;
  int times = send.who == "clients" ? 40 * send.times : send.times;
  for (int i = 0; i < times; i++) {
    Flow flow{.socket = Fd(), .send = send, .seen = {}};
    flow.seen = once(send, i % 40, &flow.socket);
    servers_by_rest[flow.seen.rest].insert(flow.seen.server);
    servers.push_back(flow.seen.server);
    if (!send.name.empty()) {
      flows_[send.name] = std::move(flow);
    }
  }
  if (send.same_wanted && !send.name.empty()) {
    if (auto [before, is_first] = servers_.try_emplace(send.name, servers); !is_first) {
      return std::exchange(before->second, servers) == servers ? "as before" : "not as before";
    }
  }
  return together(servers_by_rest, send.same_wanted);
}

std::string Flows::use(const std::string& name, bool may_be_silent) {
  may_be_silent_ = may_be_silent;
  auto found = flows_.find(name);
  if (found == flows_.end()) {
    return "was never opened";
  }
  auto& flow = found->second;
  bool stream = flow.send.protocol == "tcp";
  auto seen = stream ? ask_stream(flow.send, flow.socket.get(), false) : ask_datagram(flow.send, flow.socket.get());
  if (seen.server.empty()) {
    return seen.rest;
  }
  if (seen.server != flow.seen.server) {
    auto text = "moved to " + seen.server;
    flow.seen = seen;
    return text;
  }
  return seen.rest == flow.seen.rest ? "goes on" : "goes on, but sees " + seen.rest;
}

void Flows::stray(const std::string& name) {
  auto found = flows_.find(name);
  if (found == flows_.end()) {
    return;
  }
  const auto& seen = found->second.seen;
  auto local = ebpf::testing::host_of(seen.source);
  auto place = seen.server == "otherpod" ? std::string("other") : seen.server;
  send_stray_segment(world_.netns(place), ebpf::testing::Sockaddr::of(seen.source, seen.source_port), 8080);
}

std::string Flows::http(const Send& send) {
  const int patience = may_be_silent_ ? kStreamSilence : kPatience;
  int family = ebpf::testing::is_v6(send.address) ? AF_INET6 : AF_INET;
  auto socket = world_.socket(send.who, family, SOCK_STREAM);
  if (int error = connect_to(socket.get(), ebpf::testing::Sockaddr::of(send.address, send.port), patience)) {
    return words_of(error);
  }
  auto request = fmt::format("GET {} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n", send.path);
  ::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL);
  std::string answer;
  for (;;) {
    auto received = receive(socket.get(), patience);
    if (received.text.empty()) {
      break;
    }
    answer += received.text;
  }
  // The code, and of a health check what a load balancer looks at.
  auto result = answer.substr(std::min(answer.find(' '), answer.size() - 1) + 1, 3);
  auto lower = answer;
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const char* key : {"\"localendpoints\":", "\"serviceproxyhealthy\":", "x-load-balancing-endpoint-weight:"}) {
    if (auto at = lower.find(key); at != lower.npos) {
      auto value = lower.substr(at + strlen(key));
      value.erase(0, value.find_first_not_of(' '));
      value.resize(value.find_first_of(",}\r\n \t"));
      result += fmt::format(", {} {}",
                            key[0] == 'x'   ? "weight"
                            : key[1] == 'l' ? "local endpoints"
                                            : "proxy healthy",
                            value);
    }
  }
  return result;
}

}  // namespace keelson::services
