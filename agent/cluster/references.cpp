// SPDX-License-Identifier: Apache-2.0
#include "agent/cluster/references.h"

namespace keelson::agent {

namespace {

void add_volume(References& found, const std::string& ns, const kube::Volume& volume) {
  if (volume.config_map) {
    found.config_maps.insert({ns, volume.config_map->name});
  }
  if (volume.secret) {
    found.secrets.insert({ns, volume.secret->name});
  }
  if (volume.projected) {
    for (const auto& source : volume.projected->sources) {
      if (source.config_map) {
        found.config_maps.insert({ns, source.config_map->name});
      }
      if (source.secret) {
        found.secrets.insert({ns, source.secret->name});
      }
    }
  }
}

void add_environment(References& found, const std::string& ns, const kube::Container& container) {
  for (const auto& source : container.env_from) {
    if (source.config_map_ref) {
      found.config_maps.insert({ns, source.config_map_ref->name});
    }
    if (source.secret_ref) {
      found.secrets.insert({ns, source.secret_ref->name});
    }
  }
  for (const auto& variable : container.env) {
    if (variable.value_from && variable.value_from->config_map_key_ref) {
      found.config_maps.insert({ns, variable.value_from->config_map_key_ref->name});
    }
    if (variable.value_from && variable.value_from->secret_key_ref) {
      found.secrets.insert({ns, variable.value_from->secret_key_ref->name});
    }
  }
}

}  // namespace

void References::merge(References other) {
  config_maps.merge(other.config_maps);
  secrets.merge(other.secrets);
  runtime_classes.merge(other.runtime_classes);
  services.merge(other.services);
}

References references_of(const kube::Pod& pod) {
  References found;
  const auto& ns = pod.metadata.ns;
  for (const auto& volume : pod.spec.volumes) {
    add_volume(found, ns, volume);
  }
  for (const auto* list : {&pod.spec.init_containers, &pod.spec.containers}) {
    for (const auto& container : *list) {
      add_environment(found, ns, container);
    }
  }
  for (const auto& ephemeral : pod.spec.ephemeral_containers) {
    add_environment(found, ns, ephemeral.container);
  }
  for (const auto& name : pod.spec.image_pull_secrets) {
    found.secrets.insert({ns, name});
  }
  if (pod.spec.runtime_class_name) {
    found.runtime_classes.insert({"", *pod.spec.runtime_class_name});
  }
  if (pod.spec.enable_service_links) {
    found.services.insert({ns, ""});
  }
  if (!pod.spec.enable_service_links || ns != "default") {
    found.services.insert({"default", "kubernetes"});
  }
  return found;
}

}  // namespace keelson::agent
