// SPDX-License-Identifier: Apache-2.0
// upgrade.h.
#include "cri/streaming/upgrade.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <span>
#include <vector>

#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/url/parse.hpp>

#include "cri/streaming/channels.h"

namespace keelson::cri {

namespace {

namespace beast = boost::beast;

constexpr char kProtocolHeader[] = "X-Stream-Protocol-Version";
constexpr char kAcceptedHeader[] = "X-Accepted-Stream-Protocol-Versions";
constexpr std::string_view kForwardProtocols[] = {"portforward.k8s.io"};
constexpr std::string_view kCommandProtocols[] = {"v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io",
                                                  "channel.k8s.io"};

std::span<const std::string_view> spdy_protocols(bool forwards) {
  return forwards ? std::span<const std::string_view>(kForwardProtocols) : kCommandProtocols;
}

// The values of a header that may stand several times, each a comma-separated list.
std::vector<std::string> listed(const Request& request, beast::string_view name) {
  std::vector<std::string> values;
  const auto range = request.equal_range(name);
  for (auto field = range.first; field != range.second; ++field) {
    for (const auto value : http::token_list(field->value())) {
      values.emplace_back(value);
    }
  }
  return values;
}

Response refusal(http::status status, std::string text) {
  Response response(status, 11);
  response.set(http::field::content_type, "text/plain; charset=utf-8");
  response.body() = std::move(text) + "\n";
  response.prepare_payload();
  response.keep_alive(false);
  return response;
}

}  // namespace

Upgrade upgrade_of(const Request& request) {
  if (beast::websocket::is_upgrade(request)) {
    return Upgrade::websocket;
  }
  const auto wanted = http::token_list(request[http::field::connection]).exists("upgrade");
  return wanted && beast::iequals(request[http::field::upgrade], "SPDY/3.1") ? Upgrade::spdy : Upgrade::none;
}

std::string token_of(const Request& request) {
  const std::string target(request.target());
  const auto path = target.substr(0, target.find('?'));
  return path.substr(path.rfind('/') + 1);
}

Result<std::vector<uint16_t>> ports_of(const Request& request) {
  const auto url = boost::urls::parse_origin_form({request.target().data(), request.target().size()});
  std::vector<uint16_t> ports;
  for (const auto& parameter : url ? url->params() : boost::urls::params_view()) {
    if (parameter.key != "port") {
      continue;
    }
    if (parameter.value.empty()) {
      return fail(Kind::invalid, "query parameter \"port\" cannot be empty");
    }
    std::string_view rest(parameter.value);
    while (true) {
      const auto text = rest.substr(0, rest.find(','));
      uint16_t port = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
      if (error != std::errc() || end != text.data() + text.size() || port == 0) {
        return fail(Kind::invalid, "unable to parse \"{}\" as a port", parameter.value);
      }
      ports.push_back(port);
      if (text.size() == rest.size()) {
        break;
      }
      rest.remove_prefix(text.size() + 1);
    }
  }
  if (ports.empty()) {
    return fail(Kind::invalid, "query parameter \"port\" is required");
  }
  return ports;
}

std::optional<std::string> choose_spdy_protocol(const Request& request, bool forwards) {
  for (auto& offered : listed(request, kProtocolHeader)) {
    if (std::ranges::find(spdy_protocols(forwards), offered) != spdy_protocols(forwards).end()) {
      return std::move(offered);
    }
  }
  return std::nullopt;
}

std::optional<std::string> choose_websocket_protocol(const Request& request, bool forwards) {
  const std::string offered(request[http::field::sec_websocket_protocol]);
  if (!forwards) {
    const auto chosen = choose_protocol(offered);
    return chosen ? std::optional<std::string>(*chosen) : std::nullopt;
  }
  const auto names = names_in(offered);
  if (names.empty()) {
    return "";
  }
  const auto known = std::ranges::find_if(
      names, [](const auto& name) { return name == kForwardTunnel || name == kForwardV4 || name == kForwardBase64; });
  return known == names.end() ? std::nullopt : std::optional<std::string>(*known);
}

Response accept_spdy(const std::string& protocol) {
  Response response(http::status::switching_protocols, 11);
  response.set(http::field::connection, "Upgrade");
  response.set(http::field::upgrade, "SPDY/3.1");
  response.set(kProtocolHeader, protocol);
  return response;
}

Response refuse_spdy(const Request& request, bool forwards) {
  const auto offered = listed(request, kProtocolHeader);
  if (offered.empty()) {
    return refusal(http::status::bad_request, fmt::format("unable to upgrade: {} is required", kProtocolHeader));
  }
  const auto ours = fmt::format("{}", fmt::join(spdy_protocols(forwards), " "));
  auto response = refusal(http::status::forbidden,
                          fmt::format("unable to upgrade: unable to negotiate protocol: client supports [{}], server "
                                      "accepts [{}]",
                                      fmt::join(offered, " "), ours));
  for (const auto protocol : spdy_protocols(forwards)) {
    response.insert(kAcceptedHeader, beast::string_view(protocol.data(), protocol.size()));
  }
  return response;
}

Response refuse_websocket(bool forwards) {
  return refusal(
      http::status::bad_request,
      forwards ? fmt::format("no common subprotocol: offer {}, {} or {}", kForwardTunnel, kForwardV4, kForwardBase64)
               : fmt::format("no common subprotocol: offer {} or {}", kProtocolV5, kProtocolV4));
}

Response refuse_question(const Error& error) {
  return refusal(http::status::bad_request, error.message());
}

Response refuse_plain() {
  return refusal(http::status::bad_request, "not an upgrade to WebSocket or SPDY/3.1");
}

Response refuse_token() {
  return refusal(http::status::not_found, "this URL was used, is too old, or never was");
}

Task<> send_response(keelson::http::Stream* socket, Response response) {
  auto [error, count] = co_await http::async_write(*socket, response, use_result);
  if (error) {
    co_return fail_asio(error, "answer a streaming request");
  }
  co_return Result<>();
}

Task<> send_refusal(keelson::http::Stream* socket, Response response) {
  const auto text = response.body().substr(0, response.body().find('\n'));
  KEELSON_CO_DO(co_await send_response(socket, std::move(response)));
  co_return fail(Kind::invalid, "refused: {}", text);
}

}  // namespace keelson::cri
