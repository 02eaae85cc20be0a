// SPDX-License-Identifier: Apache-2.0
// The test server: one static binary for example and test images. HTTP on a port, healthy until told otherwise.
//
//   server [--port N] [--fail-after SECONDS] [--exit-after SECONDS] [--exit-code N] [--name TEXT]
//
// GET /healthz   200 "ok" for the first --fail-after seconds (default 10; 0 = always), then 500 "error: <seconds>"
// GET /headers   the request as it came, for probe header tests
// GET /hostname  the host name
// GET /env/NAME  the value of an environment variable
// GET /allocate/MIB  allocates and touches that much memory, for OOM tests
// GET /exit/N    exits with code N
// Anything else answers with --name (default: the host name). SIGTERM ends it with code 0.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>

namespace {

struct Options {
  int port = 8080;
  long fail_after = 10;
  long exit_after = 0;
  int exit_code = 0;
  std::string name;
};

long seconds_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec;
}

struct Reply {
  int status = 200;
  std::string body;
};

Reply health(const Options& options, long started) {
  long age = seconds_now() - started;
  if (options.fail_after > 0 && age >= options.fail_after) {
    return {500, "error: " + std::to_string(age)};
  }
  return {200, "ok"};
}

std::string host_name() {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  return name;
}

Reply answer(const Options& options, long started, const std::string& path, const std::string& request) {
  auto starts_with = [&](const char* prefix) { return path.compare(0, std::strlen(prefix), prefix) == 0; };
  if (path == "/healthz") {
    return health(options, started);
  }
  if (path == "/headers") {
    return {200, request};
  }
  if (path == "/hostname") {
    return {200, host_name()};
  }
  if (starts_with("/env/")) {
    const char* value = ::getenv(path.c_str() + 5);
    return value != nullptr ? Reply{200, value} : Reply{404, "unset"};
  }
  if (starts_with("/allocate/")) {
    size_t bytes = std::strtoul(path.c_str() + 10, nullptr, 10) << 20;
    auto* memory = static_cast<char*>(std::malloc(bytes));
    if (memory == nullptr) {
      return {500, "no memory"};
    }
    for (size_t i = 0; i < bytes; i += 4096) {
      static_cast<volatile char*>(memory)[i] = 1;
    }
    return {200, "allocated"};
  }
  if (starts_with("/exit/")) {
    std::_Exit(std::atoi(path.c_str() + 6));
  }
  return {200, options.name.empty() ? host_name() : options.name};
}

void serve(int client, const Options& options, long started) {
  timeval limit{.tv_sec = 2, .tv_usec = 0};
  ::setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  std::string request;
  char buffer[4096];
  while (request.find("\r\n\r\n") == std::string::npos && request.size() < 65536) {
    ssize_t n = ::read(client, buffer, sizeof buffer);
    if (n <= 0) {
      return;
    }
    request.append(buffer, static_cast<size_t>(n));
  }
  auto from = request.find(' ');
  auto to = request.find(' ', from + 1);
  if (from == std::string::npos || to == std::string::npos) {
    return;
  }
  Reply reply = answer(options, started, request.substr(from + 1, to - from - 1), request);
  std::string text =
      "HTTP/1.1 " + std::to_string(reply.status) + (reply.status == 200 ? " OK" : " Error") +
      "\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: " + std::to_string(reply.body.size()) +
      "\r\n\r\n" + reply.body;
  for (size_t done = 0; done < text.size();) {
    ssize_t n = ::write(client, text.data() + done, text.size() - done);
    if (n <= 0) {
      return;
    }
    done += static_cast<size_t>(n);
  }
}

int listen_on(int port) {
  int fd = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in6 any6{};
  sockaddr_in any4{};
  sockaddr* address = reinterpret_cast<sockaddr*>(&any6);
  socklen_t size = sizeof any6;
  any6.sin6_family = AF_INET6;
  any6.sin6_port = htons(static_cast<uint16_t>(port));
  int off = 0;
  if (fd >= 0) {
    ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  } else {
    fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    any4.sin_family = AF_INET;
    any4.sin_port = any6.sin6_port;
    address = reinterpret_cast<sockaddr*>(&any4);
    size = sizeof any4;
  }
  int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (fd < 0 || ::bind(fd, address, size) < 0 || ::listen(fd, 128) < 0) {
    std::fprintf(stderr, "server: port %d: %s\n", port, std::strerror(errno));
    std::exit(1);
  }
  return fd;
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    std::string flag = argv[i];
    const char* value = argv[i + 1];
    if (flag == "--port") {
      options.port = std::atoi(value);
    } else if (flag == "--fail-after") {
      options.fail_after = std::atol(value);
    } else if (flag == "--exit-after") {
      options.exit_after = std::atol(value);
    } else if (flag == "--exit-code") {
      options.exit_code = std::atoi(value);
    } else if (flag == "--name") {
      options.name = value;
    } else {
      std::fprintf(stderr, "server: unknown flag %s\n", flag.c_str());
      std::exit(2);
    }
  }
  return options;
}

int exit_code_on_alarm = 0;

}  // namespace

int main(int argc, char** argv) {
  Options options = parse(argc, argv);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGTERM, [](int) { std::_Exit(0); });
  exit_code_on_alarm = options.exit_code;
  if (options.exit_after > 0) {
    ::signal(SIGALRM, [](int) { std::_Exit(exit_code_on_alarm); });
    ::alarm(static_cast<unsigned>(options.exit_after));
  }
  int listener = listen_on(options.port);
  long started = seconds_now();
  std::printf("listening on port %d\n", options.port);
  std::fflush(stdout);
  for (;;) {
    int client = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (client >= 0) {
      serve(client, options, started);
      ::close(client);
    }
  }
}
