// SPDX-License-Identifier: Apache-2.0
// id_mappings.h.
#include "cri/runtime/id_mappings.h"

#include <algorithm>
#include <limits>

namespace keelson::cri {

namespace v1 = ::runtime::v1;

namespace {

using Wanted = google::protobuf::RepeatedPtrField<v1::IDMapping>;

Result<std::vector<shim::IdMapping>> one_mapping(const Wanted& wanted) {
  if (wanted.size() != 1) {
    return fail(Kind::invalid, "{} mappings; there has to be one", wanted.size());
  }
  const auto& mapping = wanted[0];
  if (mapping.container_id() != 0) {
    return fail(Kind::invalid, "container_id {}: id 0 is not mapped", mapping.container_id());
  }
  // The last id of all means "no change" to chown(2) and others.
  if (mapping.length() == 0 || mapping.length() > std::numeric_limits<uint32_t>::max() - mapping.host_id()) {
    return fail(Kind::invalid, "host_id {}, length {}: no range of ids", mapping.host_id(), mapping.length());
  }
  return std::vector<shim::IdMapping>{
      {.container = mapping.container_id(), .host = mapping.host_id(), .length = mapping.length()}};
}

bool same(const Wanted& wanted, const std::vector<shim::IdMapping>& mappings) {
  return std::ranges::equal(wanted, mappings, [](const auto& one, const auto& other) {
    return one.container_id() == other.container && one.host_id() == other.host && one.length() == other.length;
  });
}

}  // namespace

Result<IdMappings> id_mappings(const v1::NamespaceOption& options) {
  const auto& wanted = options.userns_options();
  const bool some = wanted.uids_size() > 0 || wanted.gids_size() > 0;
  if (wanted.mode() == v1::CONTAINER || wanted.mode() == v1::TARGET) {
    return fail(Kind::invalid, "mode: a user namespace is of a pod (POD) or the node's (NODE)");
  }
  if (wanted.mode() == v1::NODE && some) {
    return fail(Kind::invalid, "mode: NODE with mappings");
  }
  IdMappings mappings;
  if (!some) {
    return mappings;
  }
  KEELSON_TRY(mappings.uids, one_mapping(wanted.uids()).context("uids"));
  KEELSON_TRY(mappings.gids, one_mapping(wanted.gids()).context("gids"));
  if (options.network() == v1::NODE || options.pid() == v1::NODE || options.ipc() == v1::NODE) {
    return fail(Kind::invalid, "mode: POD beside the node's network, PID or IPC namespace");
  }
  return mappings;
}

uint32_t inside_id(const std::vector<shim::IdMapping>& mappings, uint32_t host) {
  constexpr uint32_t kOverflowId = 65534;
  const auto found = std::ranges::find_if(mappings, [&](const shim::IdMapping& mapping) {
    return host >= mapping.host && host - mapping.host < mapping.length;
  });
  if (found != mappings.end()) {
    return found->container + (host - found->host);
  }
  return mappings.empty() ? host : kOverflowId;
}

Result<> check_same(const v1::NamespaceOption& container, const IdMappings& sandbox) {
  const auto& wanted = container.userns_options();
  const bool some = wanted.uids_size() > 0 || wanted.gids_size() > 0;
  const bool agrees = some ? same(wanted.uids(), sandbox.uids) && same(wanted.gids(), sandbox.gids)
                           : wanted.mode() == v1::POD || (wanted.mode() == v1::NODE && sandbox.empty());
  return agrees ? Result<>() : fail(Kind::invalid, "not those of the sandbox");
}

Result<bool> wants_owners_mapped(const v1::Mount& mount, const IdMappings& sandbox) {
  if (mount.uidmappings_size() == 0 && mount.gidmappings_size() == 0) {
    return false;
  }
  if (!same(mount.uidmappings(), sandbox.uids) || !same(mount.gidmappings(), sandbox.gids)) {
    return fail(Kind::invalid, "{}: uidMappings, gidMappings: not those of the sandbox' user namespace",
                mount.container_path());
  }
  return true;
}

}  // namespace keelson::cri
