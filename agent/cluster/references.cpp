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

void add_services(References& found, const kube::Pod& pod) {
  if (pod.spec.enable_service_links) {
    found.services.insert({pod.metadata.ns, ""});
  }
  if (!pod.spec.enable_service_links || pod.metadata.ns != "default") {
    found.services.insert({"default", "kubernetes"});
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
  add_services(found, pod);
  return found;
}

References environment_of(const kube::Pod& pod, const kube::Container& container) {
  References found;
  add_environment(found, pod.metadata.ns, container);
  add_services(found, pod);
  return found;
}

}  // namespace keelson::agent
