// SPDX-License-Identifier: Apache-2.0
// Checks of what a plugin is given.
#include "cni/plugin_config.h"

#include <fmt/format.h>

#include <algorithm>

#include <boost/json/parse.hpp>

namespace keelson::cni {

namespace json = boost::json;

namespace {

constexpr size_t kMaxInput = 1 << 20;

std::unexpected<PluginError> wrong(int code, std::string message, std::string details = "") {
  return std::unexpected(PluginError{code, std::move(message), std::move(details)});
}

Checked<std::string> text_field(const json::object& object, const char* key, std::string otherwise) {
  const auto* value = object.if_contains(key);
  if (value == nullptr) {
    return otherwise;
  }
  if (!value->is_string()) {
    return wrong(kBadConfig, fmt::format("{}: expected a string", key));
  }
  return std::string(value->get_string());
}

/// `path` names it in errors.
Checked<void> add_range(std::vector<Subnet>& ranges, const std::string& path, const json::value* item) {
  if (item == nullptr || !item->is_string()) {
    return wrong(kBadConfig, fmt::format("{}: expected a subnet such as \"10.1.0.0/24\"", path));
  }
  auto subnet = Subnet::parse(std::string(item->get_string()));
  if (!subnet) {
    return wrong(kBadConfig, fmt::format("{}: {}", path, subnet.error().message()));
  }
  for (const auto& other : ranges) {
    if (other.six == subnet->six) {
      return wrong(kBadConfig, fmt::format("{}: a second subnet of the same family", path));
    }
  }
  ranges.push_back(*subnet);
  return {};
}

Checked<std::vector<Subnet>> parse_ranges(const json::object& object) {
  std::vector<Subnet> ranges;
  const auto* value = object.if_contains("ranges");
  if (value == nullptr) {
    return ranges;
  }
  if (!value->is_array()) {
    return wrong(kBadConfig, "ranges: expected a list of subnets");
  }
  for (size_t i = 0; i < value->get_array().size(); ++i) {
    if (auto added = add_range(ranges, fmt::format("ranges[{}]", i), &value->get_array()[i]); !added) {
      return std::unexpected(added.error());
    }
  }
  return ranges;
}

/// The capability ipRanges (CNI conventions): [[{"subnet": "10.1.0.0/24"}], ...], of each set the first.
Checked<std::vector<Subnet>> parse_given_ranges(const json::object& object) {
  std::vector<Subnet> ranges;
  const auto* runtime = object.if_contains("runtimeConfig");
  const auto* sets =
      runtime != nullptr && runtime->is_object() ? runtime->get_object().if_contains("ipRanges") : nullptr;
  if (sets == nullptr) {
    return ranges;
  }
  if (!sets->is_array()) {
    return wrong(kBadConfig, "runtimeConfig.ipRanges: expected a list of lists of ranges");
  }
  for (size_t i = 0; i < sets->get_array().size(); ++i) {
    const auto* set = sets->get_array()[i].if_array();
    const auto* first = set != nullptr && !set->empty() ? set->front().if_object() : nullptr;
    const auto path = fmt::format("runtimeConfig.ipRanges[{}][0].subnet", i);
    if (auto added = add_range(ranges, path, first != nullptr ? first->if_contains("subnet") : nullptr); !added) {
      return std::unexpected(added.error());
    }
  }
  return ranges;
}

/// What the configuration has, or what the runtime gives, which counts before it. None is an error where an address is
/// to be given, or where the configuration says so.
Checked<std::vector<Subnet>> ranges_of(const json::object& object, const std::string& verb) {
  auto own = parse_ranges(object);
  auto given = parse_given_ranges(object);
  if (!own || !given) {
    return own ? given : own;
  }
  if (!given->empty()) {
    return given;
  }
  if (own->empty() && (verb == "ADD" || verb == "CHECK" || object.contains("ranges"))) {
    return wrong(kBadConfig,
                 "ranges: at least one subnet is needed, such as [\"10.1.0.0/24\"], or those of a runtime that knows "
                 "the capability ipRanges");
  }
  return own;
}

Checked<std::vector<LeaseStore::Key>> parse_valid_attachments(const json::object& object) {
  std::vector<LeaseStore::Key> keys;
  const auto* value = object.if_contains("cni.dev/valid-attachments");
  if (value == nullptr || !value->is_array()) {
    return wrong(kBadConfig, "cni.dev/valid-attachments: GC needs the list of attachments to keep");
  }
  for (const auto& item : value->get_array()) {
    const auto* key = item.if_object();
    const auto* id = key != nullptr ? key->if_contains("containerID") : nullptr;
    const auto* name = key != nullptr ? key->if_contains("ifname") : nullptr;
    if (id == nullptr || name == nullptr || !id->is_string() || !name->is_string()) {
      return wrong(kBadConfig, "cni.dev/valid-attachments: expected objects with containerID and ifname");
    }
    keys.push_back({std::string(id->get_string()), std::string(name->get_string())});
  }
  return keys;
}

}  // namespace

Checked<PluginConfig> parse_plugin_config(const std::string& input, const std::string& verb) {
  if (input.size() > kMaxInput) {
    return wrong(kDecodeFailure, fmt::format("the configuration is larger than {} bytes", kMaxInput));
  }
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = 32;
  auto value = json::parse(input, error, {}, options);
  if (error || !value.is_object()) {
    return wrong(kDecodeFailure, "the configuration on standard input is not a JSON object",
                 error ? error.message() : "");
  }
  const auto& object = value.get_object();
  PluginConfig config;
  auto version = text_field(object, "cniVersion", "0.1.0");
  auto name = text_field(object, "name", "");
  auto data_dir = text_field(object, "dataDir", config.data_dir);
  auto ranges = ranges_of(object, verb);
  if (!version || !name || !data_dir) {
    return std::unexpected(!version ? version.error() : !name ? name.error() : data_dir.error());
  }
  if (std::find(std::begin(kVersions), std::end(kVersions), *version) == std::end(kVersions)) {
    return wrong(kIncompatibleVersion, fmt::format("cniVersion {} is not supported", *version),
                 "supported: 0.3.0 to 1.1.0");
  }
  if (!valid_name(*name)) {
    return wrong(kBadConfig, fmt::format("name: '{}' is not a network name", *name));
  }
  if (!ranges) {
    return std::unexpected(ranges.error());
  }
  if (const auto* mtu = object.if_contains("mtu"); mtu != nullptr) {
    if (!mtu->is_int64() || mtu->get_int64() < 0 || (mtu->get_int64() > 0 && mtu->get_int64() < 68) ||
        mtu->get_int64() > 65535) {
      return wrong(kBadConfig, "mtu: expected a number from 68 to 65535, or 0 for the uplink's");
    }
    config.mtu = static_cast<int>(mtu->get_int64());
  }
  if (const auto* masquerade = object.if_contains("ipMasq");
      masquerade != nullptr && masquerade->is_bool() && masquerade->get_bool()) {
    return wrong(kUnsupportedField, "ipMasq: this plugin does not masquerade; chain a plugin that does");
  }
  config.version = *version;
  config.name = *name;
  config.ranges = *ranges;
  config.data_dir = *data_dir;
  if (const auto* previous = object.if_contains("prevResult")) {
    auto outcome = parse_outcome(*previous);
    if (!outcome) {
      return wrong(kDecodeFailure, "prevResult: " + outcome.error().message());
    }
    config.previous = *outcome;
  }
  if (verb == "CHECK" && !config.previous) {
    return wrong(kBadConfig, "prevResult: CHECK needs the result of ADD");
  }
  if (verb == "GC") {
    auto keys = parse_valid_attachments(object);
    if (!keys) {
      return std::unexpected(keys.error());
    }
    config.valid_attachments = *keys;
  }
  return config;
}

Checked<Attachment> parse_attachment(const Invocation& invocation, const std::string& verb) {
  auto get = [&](const char* key) {
    auto found = invocation.environment.find(key);
    return found == invocation.environment.end() ? std::string() : found->second;
  };
  Attachment attachment;
  attachment.container_id = get("CNI_CONTAINERID");
  attachment.netns = get("CNI_NETNS");
  attachment.interface = get("CNI_IFNAME");
  if (!valid_name(attachment.container_id)) {
    return wrong(kBadEnvironment, fmt::format("CNI_CONTAINERID: '{}' is not a container id", attachment.container_id));
  }
  if (!valid_interface(attachment.interface)) {
    return wrong(kBadEnvironment, fmt::format("CNI_IFNAME: '{}' is not an interface name", attachment.interface));
  }
  if (attachment.netns.empty() && verb != "DEL") {
    return wrong(kBadEnvironment, "CNI_NETNS: the path of the container's network namespace is needed");
  }
  return attachment;
}

PluginError plugin_error(const Error& error, const std::string& what) {
  int code = kIoFailure;
  if (error.kind() == Kind::exhausted || error.kind() == Kind::unavailable) {
    code = kTryLater;
  } else if (error.kind() == Kind::invalid) {
    code = kBadConfig;
  }
  return {code, what, error.message()};
}

}  // namespace keelson::cni
