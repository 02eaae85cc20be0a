// SPDX-License-Identifier: Apache-2.0
#include "agent/node/node_addresses.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <optional>

namespace keelson::agent {

namespace {

/// An address of either family as one of IPv6: an IPv4 one mapped.
struct Address {
  in6_addr bytes{};
  bool six = false;

  bool operator==(const Address& other) const { return IN6_ARE_ADDR_EQUAL(&bytes, &other.bytes); }
  uint32_t four() const {
    uint32_t address = 0;
    std::copy_n(bytes.s6_addr + 12, 4, reinterpret_cast<uint8_t*>(&address));
    return ntohl(address);
  }
  bool unspecified() const { return six ? IN6_IS_ADDR_UNSPECIFIED(&bytes) : four() == 0; }
};

std::optional<Address> parse(const std::string& text) {
  Address address;
  in_addr four{};
  if (::inet_pton(AF_INET, text.c_str(), &four) == 1) {
    address.bytes.s6_addr[10] = address.bytes.s6_addr[11] = 0xff;
    std::copy_n(reinterpret_cast<const uint8_t*>(&four), 4, address.bytes.s6_addr + 12);
    return address;
  }
  if (::inet_pton(AF_INET6, text.c_str(), &address.bytes) != 1) {
    return std::nullopt;
  }
  address.six = !IN6_IS_ADDR_V4MAPPED(&address.bytes);
  return address;
}

bool is_specified(const std::string& text) {
  const auto address = parse(text);
  return address && !address->unspecified();
}

/// The kubelet's validateNodeIP.
Result<> validate(const std::string& text, const AddressSources& sources) {
  const auto address = parse(text);
  if (!address) {
    return fail(Kind::invalid, "nodeIP must be a valid IP address, '{}' is none", text);
  }
  const auto refuse = [&](std::string_view what) { return fail(Kind::invalid, "nodeIP {} can't be {}", text, what); };
  const auto& bytes = address->bytes;
  const uint32_t four = address->four();
  if (address->six ? IN6_IS_ADDR_LOOPBACK(&bytes) : four >> 24 == 127) {
    return refuse("loopback address");
  }
  if (address->six ? IN6_IS_ADDR_MULTICAST(&bytes) : four >> 28 == 0xe) {
    return refuse("a multicast address");
  }
  if (address->six ? IN6_IS_ADDR_LINKLOCAL(&bytes) : four >> 16 == 0xa9fe) {
    return refuse("a link-local unicast address");
  }
  if (address->unspecified()) {
    return refuse("an all zeros address");
  }
  if (std::ranges::none_of(sources.own(), [&](const auto& own) { return parse(own) == address; })) {
    return fail(Kind::invalid, "node IP: \"{}\" not found in the host's network interfaces", text);
  }
  return {};
}

/// Of what DNS says, the first of this family, or else the first; empty: none of it is ours.
std::string by_name(const std::string& name, bool six, const AddressSources& sources) {
  std::string other;
  for (const auto& text : sources.look_up(name)) {
    if (!validate(text, sources)) {
      continue;
    }
    if (parse(text)->six == six) {
      return text;
    }
    if (other.empty()) {
      other = text;
    }
  }
  return other;
}

Result<std::string> found_address(const AddressRules& rules, const AddressSources& sources) {
  if (parse(rules.node_name)) {
    return rules.node_name;
  }
  const bool six = !rules.given.empty() && parse(rules.given.front())->six;
  auto address = by_name(rules.node_name, six, sources);
  if (address.empty()) {
    address = sources.of_default_route(six);
  }
  if (address.empty()) {
    address = sources.of_default_route(!six);
  }
  if (address.empty()) {
    const auto own = sources.own();
    const auto any = std::ranges::find_if(own, [&](const auto& text) { return validate(text, sources).has_value(); });
    address = any != own.end() ? *any : "";
  }
  if (address.empty()) {
    return fail(Kind::not_found, "can't get ip address of node {}: this machine has none that others reach",
                rules.node_name);
  }
  return address;
}

}  // namespace

Result<> check_node_ips(const std::vector<std::string>& given) {
  for (const auto& text : given) {
    if (!parse(text)) {
      return fail(Kind::invalid, "'{}' is no IP address", text);
    }
  }
  if (given.size() > 2 || (given.size() == 2 && parse(given[0])->six == parse(given[1])->six)) {
    return fail(Kind::invalid, "one address, or one of each family");
  }
  return {};
}

std::vector<std::string> specified_addresses(const std::vector<std::string>& given) {
  std::vector<std::string> specified;
  if (!given.empty() && is_specified(given.front())) {
    std::ranges::copy_if(given, std::back_inserter(specified), is_specified);
  }
  return specified;
}

Result<std::vector<std::string>> node_addresses(const AddressRules& rules, const AddressSources& sources) {
  const auto specified = specified_addresses(rules.given);
  for (const auto& text : specified) {
    KEELSON_DO(validate(text, sources));
  }
  if (!specified.empty()) {
    return specified;
  }
  KEELSON_TRY(auto address, found_address(rules, sources));
  return std::vector{std::move(address)};
}

std::vector<std::string> host_ips(const kube::Node& node) {
  std::vector<std::string> all;
  for (const char* type : {"InternalIP", "ExternalIP"}) {
    for (const auto& address : node.addresses) {
      if (address.type == type && parse(address.address)) {
        all.push_back(address.address);
      }
    }
  }
  if (all.empty()) {
    return {};
  }
  const auto other =
      std::ranges::find_if(all, [&](const auto& text) { return parse(text)->six != parse(all.front())->six; });
  return other == all.end() ? std::vector{all.front()} : std::vector{all.front(), *other};
}

}  // namespace keelson::agent
