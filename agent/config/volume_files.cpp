// SPDX-License-Identifier: Apache-2.0
// Payloads of volumes that are made of objects.
#include <fmt/format.h>

#include "agent/config/volumes.h"

namespace keelson::agent {

namespace {

/// The chosen keys of an object, or all.
Result<> add_keys(VolumeFiles& out, const kube::StringMap& data, const std::vector<kube::KeyToPath>& items, mode_t mode,
                  bool optional, const std::string& what) {
  if (items.empty()) {
    for (const auto& [key, value] : data) {
      out[key] = {value, mode};
    }
    return {};
  }
  for (const auto& item : items) {
    auto found = data.find(item.key);
    if (found == data.end()) {
      if (optional) {
        continue;
      }
      return fail(Kind::not_found, "references non-existent {} key: {}", what, item.key);
    }
    out[item.path] = {found->second, item.mode ? static_cast<mode_t>(*item.mode) : mode};
  }
  return {};
}

template <class Object>
Result<> add_object(VolumeFiles& out, const std::map<std::string, Object>& objects, const std::string& ns,
                    const std::string& name, const std::vector<kube::KeyToPath>& items, mode_t mode, bool optional,
                    const std::string& what) {
  auto found = objects.find(ns + "/" + name);
  if (found == objects.end()) {
    return optional ? Result<>() : fail(Kind::not_found, "{} \"{}\" not found", what, name);
  }
  auto data = found->second.data;
  if constexpr (requires { found->second.binary_data; }) {
    data.insert(found->second.binary_data.begin(), found->second.binary_data.end());
  }
  return add_keys(out, data, items, mode, optional, what == "configmap" ? "config" : what);
}

Result<> add_downward(VolumeFiles& out, const kube::Pod& pod, const std::vector<kube::DownwardApiFile>& items,
                      mode_t mode, const NodeFacts& node, const std::vector<std::string>& pod_ips) {
  for (const auto& item : items) {
    VolumeFile file{.data = "", .mode = item.mode ? static_cast<mode_t>(*item.mode) : mode};
    if (item.field_ref) {
      KEELSON_TRY(file.data, field_value(pod, pod_ips, node, item.field_ref->field_path));
    } else if (item.resource_field_ref) {
      KEELSON_TRY(file.data, resource_value(pod, pod.spec.containers.front(), node, *item.resource_field_ref));
    }
    out[item.path] = file;
  }
  return {};
}

/// Whom all containers run as, if that is one and the same.
std::optional<int64_t> common_user(const kube::Pod& pod) {
  std::optional<int64_t> common;
  for (const auto* list : {&pod.spec.init_containers, &pod.spec.containers}) {
    for (const auto& container : *list) {
      const auto& own = container.security_context ? container.security_context->run_as_user : std::nullopt;
      const auto user = own ? own : pod.spec.security_context.run_as_user;
      if (!user || (common && *common != *user)) {
        return std::nullopt;
      }
      common = user;
    }
  }
  return common;
}

/// For its one user, or the pod's group, alone where there is one (kubelet pkg/volume/projected).
Result<> add_token(VolumeFiles& out, const kube::Pod& pod, const kube::ServiceAccountTokenProjection& source,
                   mode_t mode, const TokenMap* tokens) {
  if (tokens == nullptr) {
    return fail(Kind::unsupported, "a service account token needs a control plane, and this node has none");
  }
  auto token = tokens->find(token_key(source));
  if (token == tokens->end()) {
    return fail(Kind::not_found, "failed to fetch token: none has been given yet");
  }
  const auto user = common_user(pod);
  const bool owned = user || pod.spec.security_context.fs_group;
  out[source.path] = {.data = token->second, .mode = owned ? mode_t{0600} : mode, .user = user.value_or(-1)};
  return {};
}

Result<> add_projection(VolumeFiles& out, const kube::Pod& pod, const kube::VolumeProjection& source, mode_t mode,
                        const kube::DesiredState& objects, const NodeFacts& node,
                        const std::vector<std::string>& pod_ips, const TokenMap* tokens) {
  const auto& ns = pod.metadata.ns;
  if (source.config_map) {
    const auto& wanted = *source.config_map;
    return add_object(out, objects.config_maps, ns, wanted.name, wanted.items, mode, wanted.optional.value_or(false),
                      "configmap");
  }
  if (source.secret) {
    const auto& wanted = *source.secret;
    return add_object(out, objects.secrets, ns, wanted.name, wanted.items, mode, wanted.optional.value_or(false),
                      "secret");
  }
  if (source.downward_api) {
    return add_downward(out, pod, source.downward_api->items, mode, node, pod_ips);
  }
  if (source.service_account_token) {
    return add_token(out, pod, *source.service_account_token, mode, tokens);
  }
  return fail(Kind::unsupported, "the projected source {} is not supported",
              source.unsupported.empty() ? "that this node does not know" : source.unsupported);
}

}  // namespace

std::string token_key(const kube::ServiceAccountTokenProjection& projection) {
  return fmt::format("{} {}", projection.expiration_seconds, projection.audience);
}

Result<VolumeFiles> volume_files(const kube::Pod& pod, const kube::Volume& volume, const kube::DesiredState& objects,
                                 const NodeFacts& node, const std::vector<std::string>& pod_ips,
                                 const TokenMap* tokens) {
  VolumeFiles out;
  const auto& ns = pod.metadata.ns;
  if (volume.config_map) {
    const auto& v = *volume.config_map;
    KEELSON_DO(add_object(out, objects.config_maps, ns, v.name, v.items, static_cast<mode_t>(v.default_mode),
                          v.optional.value_or(false), "configmap"));
  } else if (volume.secret) {
    const auto& v = *volume.secret;
    KEELSON_DO(add_object(out, objects.secrets, ns, v.name, v.items, static_cast<mode_t>(v.default_mode),
                          v.optional.value_or(false), "secret"));
  } else if (volume.downward_api) {
    KEELSON_DO(add_downward(out, pod, volume.downward_api->items,
                            static_cast<mode_t>(volume.downward_api->default_mode), node, pod_ips));
  } else if (volume.projected) {
    for (const auto& source : volume.projected->sources) {
      KEELSON_DO(add_projection(out, pod, source, static_cast<mode_t>(volume.projected->default_mode), objects, node,
                                pod_ips, tokens));
    }
  }
  return out;
}

}  // namespace keelson::agent
