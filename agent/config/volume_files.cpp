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

Result<> add_projection(VolumeFiles& out, const kube::Pod& pod, const kube::VolumeProjection& source, mode_t mode,
                        const kube::DesiredState& objects, const NodeFacts& node,
                        const std::vector<std::string>& pod_ips) {
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
    return fail(Kind::unsupported, "a service account token needs a control plane, and this node has none");
  }
  return fail(Kind::unsupported, "the projected source {} is not supported", source.unsupported);
}

}  // namespace

Result<VolumeFiles> volume_files(const kube::Pod& pod, const kube::Volume& volume, const kube::DesiredState& objects,
                                 const NodeFacts& node, const std::vector<std::string>& pod_ips) {
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
                                pod_ips));
    }
  }
  return out;
}

}  // namespace keelson::agent
