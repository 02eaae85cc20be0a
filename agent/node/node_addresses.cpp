// SPDX-License-Identifier: Apache-2.0
#include "agent/node/node_addresses.h"

#include <algorithm>
#include <optional>

#include <boost/asio/ip/address.hpp>

namespace keelson::agent {

namespace {

using Address = boost::asio::ip::address;

std::optional<Address> parse(const std::string& text) {
  boost::system::error_code wrong;
  auto address = boost::asio::ip::make_address(text, wrong);
  if (wrong || text.find('%') != text.npos) {  // an address of a link alone is with its link's name
    return std::nullopt;
  }
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return make_address_v4(boost::asio::ip::v4_mapped, address.to_v6());
  }
  return address;
}

bool is_of_link_alone(const Address& address) {
  return address.is_v6() ? address.to_v6().is_link_local() : address.to_v4().to_uint() >> 16 == 0xa9fe;
}

bool is_specified(const std::string& text) {
  const auto address = parse(text);
  return address && !address->is_unspecified();
}

/// The kubelet's validateNodeIP.
Result<> validate(const std::string& text, const AddressSources& sources) {
  const auto address = parse(text);
  if (!address) {
    return fail(Kind::invalid, "nodeIP must be a valid IP address, '{}' is none", text);
  }
  const auto refuse = [&](std::string_view what) { return fail(Kind::invalid, "nodeIP {} can't be {}", text, what); };
  if (address->is_loopback()) {
    return refuse("loopback address");
  }
  if (address->is_multicast()) {
    return refuse("a multicast address");
  }
  if (is_of_link_alone(*address)) {
    return refuse("a link-local unicast address");
  }
  if (address->is_unspecified()) {
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
    if (parse(text)->is_v6() == six) {
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
  const bool six = !rules.given.empty() && parse(rules.given.front())->is_v6();
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
  if (given.size() > 2 || (given.size() == 2 && parse(given[0])->is_v6() == parse(given[1])->is_v6())) {
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
      std::ranges::find_if(all, [&](const auto& text) { return parse(text)->is_v6() != parse(all.front())->is_v6(); });
  return other == all.end() ? std::vector{all.front()} : std::vector{all.front(), *other};
}

}  // namespace keelson::agent
