// SPDX-License-Identifier: Apache-2.0
// ADD, DEL, CHECK, VERSION, GC, STATUS.
#include "cni/plugin.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>

#include <boost/json/serialize.hpp>

#include "cni/plugin_config.h"
#include "cni/veth.h"

namespace keelson::cni {

namespace json = boost::json;

namespace {

/// What a verb prints: nothing, or an object.
using Printed = Checked<json::value>;

constexpr std::chrono::milliseconds kRemovalLimit{2000};

/// JSON is UTF-8; what was put into an error may be any bytes.
std::string ascii(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < 0x80 ? std::string(1, c) : fmt::format("\\x{:02x}", byte);
  }
  return out;
}

int64_t now_seconds() {
  return ::time(nullptr);
}

Checked<LeaseStore> leases_of(const PluginConfig& config) {
  auto boot = read_boot_id();
  if (!boot) {
    return std::unexpected(plugin_error(boot.error(), "read the boot id"));
  }
  return LeaseStore({.path = config.data_dir + "/" + config.name + ".leases", .boot_id = *boot});
}

PodLink link_of(const PluginConfig& config, const Attachment& attachment, const std::vector<std::string>& addresses) {
  PodLink link{.host_name = host_link_name(attachment.container_id, attachment.interface),
               .pod_name = attachment.interface,
               .netns = attachment.netns,
               .mtu = config.mtu};
  for (size_t i = 0; i < addresses.size() && i < config.ranges.size(); ++i) {
    link.addresses.push_back({addresses[i], config.ranges[i].gateway(), config.ranges[i].six});
  }
  return link;
}

Printed add(const PluginConfig& config, const Attachment& attachment) {
  auto leases = leases_of(config);
  if (!leases) {
    return std::unexpected(leases.error());
  }
  // A link without a lease is one that a DEL is still removing.
  auto held = leases->find(attachment.container_id, attachment.interface);
  if (held && held->empty()) {
    auto name = host_link_name(attachment.container_id, attachment.interface);
    if (auto gone = wait_link_gone(name, kRemovalLimit); !gone) {
      return std::unexpected(plugin_error(gone.error(), "an earlier link of " + attachment.container_id));
    }
  }
  auto addresses = leases->allocate(config.ranges, attachment.container_id, attachment.interface);
  if (!addresses) {
    return std::unexpected(plugin_error(addresses.error(), "no address for " + attachment.container_id));
  }
  auto link = link_of(config, attachment, *addresses);
  auto made = make_link(link);
  if (!made) {
    // An interface that is there already keeps its address: it may be ours from a first ADD.
    if (made.error().kind() != Kind::exists) {
      if (auto released = leases->release(attachment.container_id, attachment.interface, now_seconds()); !released) {
        return std::unexpected(plugin_error(released.error(), "free the address again"));
      }
    }
    return std::unexpected(
        plugin_error(made.error(), fmt::format("make {} in {}", attachment.interface, attachment.netns)));
  }
  Outcome outcome;
  outcome.interfaces = {{link.host_name, made->host_mac, made->mtu, ""},
                        {link.pod_name, made->pod_mac, made->mtu, attachment.netns}};
  for (const auto& address : link.addresses) {
    outcome.addresses.push_back({fmt::format("{}/{}", address.address, address.six ? 128 : 32), address.gateway, 1});
    outcome.routes.push_back({address.six ? "::/0" : "0.0.0.0/0", address.gateway});
  }
  return format_outcome(outcome, config.version);
}

Printed del(const PluginConfig& config, const Attachment& attachment) {
  auto leases = leases_of(config);
  if (!leases) {
    return std::unexpected(leases.error());
  }
  auto addresses = leases->find(attachment.container_id, attachment.interface);
  if (!addresses) {
    return std::unexpected(plugin_error(addresses.error(), "read the leases"));
  }
  // The routes first: an address must not be given out while somebody still has it. It rests after that.
  auto name = host_link_name(attachment.container_id, attachment.interface);
  if (auto removed = remove_link_behind(name, *addresses); !removed) {
    return std::unexpected(plugin_error(removed.error(), "remove the link of " + attachment.container_id));
  }
  if (auto released = leases->release(attachment.container_id, attachment.interface, now_seconds()); !released) {
    return std::unexpected(plugin_error(released.error(), "free the addresses of " + attachment.container_id));
  }
  return nullptr;
}

Printed check(const PluginConfig& config, const Attachment& attachment) {
  auto leases = leases_of(config);
  if (!leases) {
    return std::unexpected(leases.error());
  }
  auto addresses = leases->find(attachment.container_id, attachment.interface);
  if (!addresses) {
    return std::unexpected(plugin_error(addresses.error(), "read the leases"));
  }
  if (addresses->size() != config.ranges.size()) {
    return std::unexpected(PluginError{
        kIoFailure,
        fmt::format("{} holds {} addresses, not {}", attachment.container_id, addresses->size(), config.ranges.size()),
        ""});
  }
  if (auto checked = check_link(link_of(config, attachment, *addresses)); !checked) {
    return std::unexpected(plugin_error(checked.error(), "the interface is not as ADD made it"));
  }
  return nullptr;
}

Printed collect_garbage(const PluginConfig& config) {
  auto leases = leases_of(config);
  auto links = list_links();
  if (!leases || !links) {
    return std::unexpected(leases ? plugin_error(links.error(), "list links") : leases.error());
  }
  auto held = leases->list();
  if (!held) {
    return std::unexpected(plugin_error(held.error(), "read the leases"));
  }
  // Only links that a lease of this network names are ours to remove: other networks have pod links too.
  for (const auto& lease : *held) {
    auto name = host_link_name(lease.container_id, lease.interface);
    bool valid = std::any_of(config.valid_attachments.begin(), config.valid_attachments.end(), [&](const auto& key) {
      return key.container_id == lease.container_id && key.interface == lease.interface;
    });
    if (!valid && std::find(links->begin(), links->end(), name) != links->end()) {
      if (auto removed = remove_link(name); !removed) {
        return std::unexpected(plugin_error(removed.error(), "remove link " + name));
      }
    }
  }
  if (auto kept = leases->keep_only(config.valid_attachments, now_seconds()); !kept) {
    return std::unexpected(plugin_error(kept.error(), "free addresses"));
  }
  return nullptr;
}

Printed status(const PluginConfig& config) {
  auto leases = leases_of(config);
  if (!leases) {
    return std::unexpected(leases.error());
  }
  if (auto readable = leases->list(); !readable) {
    return std::unexpected(PluginError{kNotAvailable, "the lease store cannot be used", readable.error().message()});
  }
  return nullptr;
}

json::value version_info() {
  json::array versions;
  for (const char* version : kVersions) {
    versions.emplace_back(version);
  }
  return json::object{{"cniVersion", kNewestVersion}, {"supportedVersions", versions}};
}

Printed run_verb(const Invocation& invocation) {
  auto command = invocation.environment.find("CNI_COMMAND");
  std::string verb = command == invocation.environment.end() ? "" : command->second;
  if (verb == "VERSION") {
    return version_info();
  }
  if (verb != "ADD" && verb != "DEL" && verb != "CHECK" && verb != "GC" && verb != "STATUS") {
    return std::unexpected(PluginError{
        kBadEnvironment, fmt::format("CNI_COMMAND: '{}' is none of ADD, DEL, CHECK, GC, STATUS, VERSION", verb), ""});
  }
  auto config = parse_plugin_config(invocation.input, verb);
  if (!config) {
    return std::unexpected(config.error());
  }
  if (verb == "GC") {
    return collect_garbage(*config);
  }
  if (verb == "STATUS") {
    return status(*config);
  }
  auto attachment = parse_attachment(invocation, verb);
  if (!attachment) {
    return std::unexpected(attachment.error());
  }
  if (verb == "ADD") {
    auto added = add(*config, *attachment);
    if (added && invocation.asker_lives && !invocation.asker_lives()) {
      auto undone = del(*config, *attachment);
      return std::unexpected(undone ? PluginError{kNotAvailable, "the runtime ended during ADD; it is undone", ""}
                                    : undone.error());
    }
    return added;
  }
  return verb == "DEL" ? del(*config, *attachment) : check(*config, *attachment);
}

}  // namespace

PluginAnswer run_plugin(const Invocation& invocation) {
  auto printed = run_verb(invocation);
  if (!printed) {
    const auto& error = printed.error();
    json::object object{{"cniVersion", kNewestVersion}, {"code", error.code}, {"msg", ascii(error.message)}};
    if (!error.details.empty()) {
      object["details"] = ascii(error.details);
    }
    return {1, json::serialize(object)};
  }
  return {0, printed->is_null() ? "" : json::serialize(*printed)};
}

}  // namespace keelson::cni
