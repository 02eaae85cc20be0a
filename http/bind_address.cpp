// SPDX-License-Identifier: Apache-2.0
#include "http/bind_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <charconv>

namespace keelson::http {
namespace {

bool is_address(const std::string& text) {
  in6_addr address{};
  return ::inet_pton(AF_INET, text.c_str(), &address) == 1 || ::inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

std::string without_brackets(std::string_view text) {
  bool bracketed = text.size() > 1 && text.front() == '[' && text.back() == ']';
  return std::string(bracketed ? text.substr(1, text.size() - 2) : text);
}

}  // namespace

Result<BindAddress> BindAddress::parse(std::string_view text, uint16_t default_port) {
  if (auto alone = without_brackets(text); is_address(alone)) {
    return BindAddress{std::move(alone), default_port};
  }
  auto colon = text.rfind(':');
  BindAddress result{without_brackets(text.substr(0, colon)), 0};
  bool bare = result.host.contains(':') && !text.starts_with('[');  // "::1:80" could be two things
  if (colon == text.npos || bare || !is_address(result.host)) {
    return fail(Kind::invalid, "'{}' is not an IP address and a port, such as 0.0.0.0:{} or [::]:{}", text,
                default_port, default_port);
  }
  auto port = text.substr(colon + 1);
  auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), result.port);
  if (error != std::errc() || end != port.data() + port.size() || result.port == 0) {
    return fail(Kind::invalid, "'{}': '{}' is not a port from 1 to 65535", text, port);
  }
  return result;
}

std::string BindAddress::to_string() const {
  return fmt::format(fmt::runtime(host.contains(':') ? "[{}]:{}" : "{}:{}"), host, port);
}

}  // namespace keelson::http
