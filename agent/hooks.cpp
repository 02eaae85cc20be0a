// SPDX-License-Identifier: Apache-2.0
// Hooks: a command, a GET, or a pause.
#include "agent/hooks.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>

namespace keelson::agent {

namespace {

using asio::ip::tcp;

int32_t port_number(const kube::Container& container, const kube::IntOrString& port) {
  if (port.is_number()) {
    return port.number();
  }
  auto it = std::ranges::find(container.ports, port.name(), &kube::ContainerPort::name);
  return it == container.ports.end() ? 0 : it->container_port;
}

/// "HTTP/1.1 200 OK" -> 200; 0 if it is no status line.
int status_code(std::string_view line) {
  int code = 0;
  if (line.starts_with("HTTP/1.") && line.size() >= 12) {
    std::from_chars(line.data() + 9, line.data() + 12, code);
  }
  return code;
}

Task<> http_hook(Loop& loop, HookCall call) {
  const kube::HttpGetAction& get = *call.handler.http_get;
  std::string host = get.host.empty() ? call.pod_ip : get.host;
  int32_t port = port_number(call.container, get.port);
  boost::system::error_code bad_address;
  auto address = asio::ip::make_address(host, bad_address);
  if (bad_address || port == 0) {
    co_return fail(Kind::invalid, "{}:{} is not an address and port", host, get.port.to_string());
  }
  tcp::socket socket(loop.io());
  auto [refused] = co_await socket.async_connect(tcp::endpoint(address, static_cast<uint16_t>(port)), use_result);
  if (refused) {
    co_return fail_asio(refused, fmt::format("connect {}:{}", host, port));
  }
  std::string request = fmt::format("GET {} HTTP/1.1\r\n", get.path.empty() ? "/" : get.path);
  bool own_host = false;
  for (const auto& header : get.http_headers) {
    own_host = own_host || header.name == "Host";
    request += fmt::format("{}: {}\r\n", header.name, header.value);
  }
  request += own_host ? "" : fmt::format("Host: {}:{}\r\n", host, port);
  request += "User-Agent: kube-lifecycle/1.34\r\nConnection: close\r\n\r\n";
  auto [unsent, sent] = co_await asio::async_write(socket, asio::buffer(request), use_result);
  if (unsent) {
    co_return fail_asio(unsent, "send the request");
  }
  std::string answer;
  auto [unread, size] =
      co_await asio::async_read_until(socket, asio::dynamic_buffer(answer, 16384), "\r\n", use_result);
  if (unread) {
    co_return fail_asio(unread, "read the answer");
  }
  int code = status_code(answer);
  if (code < 200 || code >= 400) {
    co_return fail(Kind::internal, "HTTP status {}", code);
  }
  co_return Result<>();
}

Task<> exec_hook(PodRuntime& runtime, HookCall call) {
  KEELSON_CO_TRY(auto outcome, co_await runtime.exec(call.id, call.handler.exec->command, call.limit));
  if (outcome.exit_code != 0) {
    co_return fail(Kind::internal, "command '{}' exited with {}: {}", fmt::join(call.handler.exec->command, " "),
                   outcome.exit_code, outcome.output);
  }
  co_return Result<>();
}

}  // namespace

Task<> run_hook(Loop& loop, PodRuntime& runtime, HookCall call) {
  Duration limit = call.limit;
  if (call.handler.exec) {
    co_return co_await with_deadline<void>(loop, limit, exec_hook(runtime, std::move(call)));
  }
  if (call.handler.http_get) {
    co_return co_await with_deadline<void>(loop, limit, http_hook(loop, std::move(call)));
  }
  if (call.handler.sleep) {
    Duration pause = std::chrono::seconds(call.handler.sleep->seconds);
    co_return co_await loop.sleep(std::min(pause, limit));
  }
  co_return Result<>();
}

}  // namespace keelson::agent
