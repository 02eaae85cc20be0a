// SPDX-License-Identifier: Apache-2.0
// {"version":1,"servers":["10.0.0.1:6443"]}
#include "kube/client/known_servers.h"

#include <algorithm>

#include <boost/json.hpp>

#include "common/atomic_file.h"
#include "common/fd.h"

namespace keelson::kube {

namespace {

namespace json = boost::json;

constexpr int kVersion = 1;
constexpr size_t kMaxServers = 64;

Result<std::vector<ServerAddress>> parse(const std::string& text) {
  json::error_code error;
  const json::value root = json::parse(text, error);
  const json::object* object = error ? nullptr : root.if_object();
  const json::value* version = object != nullptr ? object->if_contains("version") : nullptr;
  const json::value* list = object != nullptr ? object->if_contains("servers") : nullptr;
  if (version == nullptr || *version != kVersion || list == nullptr || !list->is_array()) {
    return fail(Kind::invalid, "not a list of API servers of version {}; remove the file, it is made anew", kVersion);
  }
  std::vector<ServerAddress> servers;
  for (const json::value& entry : list->get_array()) {
    const std::string name(entry.is_string() ? std::string_view(entry.get_string()) : std::string_view());
    KEELSON_TRY(servers.emplace_back(), parse_server_address(name).context("servers: \"{}\"", name));
  }
  return servers;
}

std::string print(const std::vector<ServerAddress>& servers) {
  json::array list;
  for (const ServerAddress& server : servers) {
    list.emplace_back(to_string(server));
  }
  return json::serialize(json::object{{"version", kVersion}, {"servers", std::move(list)}}) + "\n";
}

}  // namespace

bool lists_api_servers(const EndpointSlice& slice) {
  const auto label = slice.metadata.labels.find(std::string(kServiceNameLabel));
  return slice.metadata.ns == "default" && label != slice.metadata.labels.end() && label->second == "kubernetes";
}

KnownServers::KnownServers(std::string path) : path_(std::move(path)) {}

Result<std::vector<ServerAddress>> KnownServers::load() {
  auto text = read_file(path_, 1 << 20);
  if (!text && text.error().kind() == Kind::not_found) {
    return servers_;
  }
  if (!text) {
    return std::unexpected(std::move(text).error());
  }
  KEELSON_TRY(servers_, parse(*text).context("{}", path_));
  return servers_;
}

Result<bool> KnownServers::synced(const std::vector<EndpointSlice>& all) {
  slices_.clear();
  return follow(all);
}

Result<bool> KnownServers::changed(const Changes<EndpointSlice>& changes) {
  for (const RemovedObject& gone : changes.removed) {
    slices_.erase(gone.name);
  }
  return follow(changes.changed);
}

Result<bool> KnownServers::follow(const std::vector<EndpointSlice>& changed) {
  for (const EndpointSlice& slice : changed) {
    if (lists_api_servers(slice)) {
      slices_.insert_or_assign(full_name(slice.metadata), slice);
    }
  }
  std::vector<ServerAddress> found;
  for (const auto& [name, slice] : slices_) {
    const auto port = std::ranges::find_if(slice.ports, [](const EndpointPort& candidate) {
      return candidate.port && (candidate.name == "https" || candidate.name.empty());
    });
    if (port == slice.ports.end()) {
      continue;
    }
    for (const Endpoint& endpoint : slice.endpoints) {
      if (endpoint.ready.value_or(true) && !endpoint.addresses.empty()) {
        found.push_back({.host = endpoint.addresses.front(), .port = static_cast<uint16_t>(*port->port)});
      }
    }
  }
  std::ranges::sort(found, {}, [](const ServerAddress& server) { return std::pair(server.host, server.port); });
  found.erase(std::ranges::unique(found).begin(), found.end());
  found.resize(std::min(found.size(), kMaxServers));
  if (found.empty() || found == servers_) {
    return false;
  }
  KEELSON_DO(write_file_atomic(path_, print(found), 0600, Durability::power));
  servers_ = std::move(found);
  return true;
}

}  // namespace keelson::kube
