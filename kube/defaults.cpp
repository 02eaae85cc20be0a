// SPDX-License-Identifier: Apache-2.0
// Defaults that depend on other fields, or that an explicit zero or empty value asks for (kubernetes
// pkg/apis/core/v1/defaults.go).
#include <algorithm>

#include "kube/objects.h"
#include "kube/pod.h"

namespace keelson::kube {

namespace {

/// Always for :latest and for neither tag nor digest.
PullPolicy pull_policy_of(std::string_view image) {
  const size_t at = image.find('@');
  const bool digest = at != std::string_view::npos;
  image = image.substr(0, at);
  const size_t slash = image.rfind('/');
  const std::string_view name = slash == std::string_view::npos ? image : image.substr(slash + 1);
  const size_t colon = name.find(':');
  const std::string_view tag = colon == std::string_view::npos ? std::string_view() : name.substr(colon + 1);
  return tag == "latest" || (tag.empty() && !digest) ? PullPolicy::always : PullPolicy::if_not_present;
}

template <class T>
void default_if_zero(T& field, T value) {
  if (field == T{}) {
    field = value;
  }
}

void default_http(std::optional<HttpGetAction>& http) {
  if (http && http->path.empty()) {
    http->path = "/";
  }
}

void default_probe(std::optional<Probe>& probe) {
  if (!probe) {
    return;
  }
  const Probe defaults;
  default_if_zero(probe->timeout_seconds, defaults.timeout_seconds);
  default_if_zero(probe->period_seconds, defaults.period_seconds);
  default_if_zero(probe->success_threshold, defaults.success_threshold);
  default_if_zero(probe->failure_threshold, defaults.failure_threshold);
  default_http(probe->http_get);
}

void default_hook(std::optional<LifecycleHandler>& hook) {
  if (hook) {
    default_http(hook->http_get);
  }
}

void round_up(ResourceList& list) {
  for (auto& [name, quantity] : list) {
    quantity = quantity.rounded_up_to_milli();
  }
}

void default_resources(ResourceRequirements& resources) {
  round_up(resources.limits);
  round_up(resources.requests);
  // insert leaves a request that is there alone.
  resources.requests.insert(resources.limits.begin(), resources.limits.end());
}

void default_field_ref(std::optional<FieldRef>& ref) {
  if (ref && ref->api_version.empty()) {
    ref->api_version = FieldRef().api_version;
  }
}

void default_container(Container& container, bool host_network) {
  if (!container.image_pull_policy) {
    container.image_pull_policy = pull_policy_of(container.image);
  }
  if (container.termination_message_path.empty()) {
    container.termination_message_path = Container().termination_message_path;
  }
  default_resources(container.resources);
  for (ContainerPort& port : container.ports) {
    if (host_network) {
      default_if_zero(port.host_port, port.container_port);
    }
  }
  for (EnvVar& variable : container.env) {
    if (variable.value_from) {
      default_field_ref(variable.value_from->field_ref);
    }
  }
  default_probe(container.liveness_probe);
  default_probe(container.readiness_probe);
  default_probe(container.startup_probe);
  if (container.lifecycle) {
    default_hook(container.lifecycle->post_start);
    default_hook(container.lifecycle->pre_stop);
  }
}

void default_volume(Volume& volume) {
  const bool any = volume.empty_dir || volume.host_path || volume.config_map || volume.secret || volume.downward_api ||
                   volume.projected || volume.persistent_volume_claim || volume.nfs || volume.csi || volume.ephemeral ||
                   volume.image || !volume.unsupported.empty();
  if (!any) {
    volume.empty_dir.emplace();
  }
  if (volume.image && !volume.image->pull_policy) {
    volume.image->pull_policy = pull_policy_of(volume.image->reference);
  }
  if (volume.downward_api) {
    for (DownwardApiFile& file : volume.downward_api->items) {
      default_field_ref(file.field_ref);
    }
  }
  if (!volume.projected) {
    return;
  }
  for (VolumeProjection& source : volume.projected->sources) {
    if (source.downward_api) {
      for (DownwardApiFile& file : source.downward_api->items) {
        default_field_ref(file.field_ref);
      }
    }
  }
}

void default_meta(ObjectMeta& metadata) {
  if (metadata.ns.empty()) {
    metadata.ns = "default";
  }
}

}  // namespace

void default_pod(Pod& pod) {
  default_meta(pod.metadata);
  PodSpec& spec = pod.spec;
  for (Volume& volume : spec.volumes) {
    default_volume(volume);
  }
  for (Container& container : spec.init_containers) {
    default_container(container, spec.host_network);
  }
  for (Container& container : spec.containers) {
    default_container(container, spec.host_network);
  }
  if (spec.resources) {
    default_resources(*spec.resources);
  }
  round_up(spec.overhead);
  if (spec.scheduler_name.empty()) {
    spec.scheduler_name = PodSpec().scheduler_name;
  }
}

void default_config_map(ConfigMap& config_map) {
  default_meta(config_map.metadata);
}

void default_runtime_class(RuntimeClass& runtime_class) {
  round_up(runtime_class.overhead);
}

void default_secret(Secret& secret) {
  default_meta(secret.metadata);
  if (secret.type.empty()) {
    secret.type = Secret().type;
  }
}

void default_service(Service& service) {
  default_meta(service.metadata);
  if (service.cluster_ips.empty() && !service.cluster_ip.empty()) {
    service.cluster_ips.push_back(service.cluster_ip);
  }
  if (service.cluster_ip.empty() && !service.cluster_ips.empty()) {
    service.cluster_ip = service.cluster_ips.front();
  }
  for (ServicePort& port : service.ports) {
    if (port.target_port == IntOrString{} || port.target_port == IntOrString{std::string()}) {
      port.target_port.value = port.port;
    }
  }
}

void default_endpoint_slice(EndpointSlice& slice) {
  default_meta(slice.metadata);
}

std::string full_name(const ObjectMeta& metadata) {
  return metadata.ns.empty() ? metadata.name : metadata.ns + "/" + metadata.name;
}

bool claims_resources(const PodSpec& spec) {
  const auto& json = spec.resource_claims.json;
  return json.find('{') != std::string::npos;  // a list of objects
}

const ImageVolume* find_image_volume(const PodSpec& spec, std::string_view name) {
  const auto found = std::ranges::find(spec.volumes, name, &Volume::name);
  return found != spec.volumes.end() && found->image ? &*found->image : nullptr;
}

const Container* find_container(const PodSpec& spec, std::string_view name) {
  for (const auto* list : {&spec.containers, &spec.init_containers}) {
    for (const Container& container : *list) {
      if (container.name == name) {
        return &container;
      }
    }
  }
  for (const EphemeralContainer& ephemeral : spec.ephemeral_containers) {
    if (ephemeral.container.name == name) {
      return &ephemeral.container;
    }
  }
  return nullptr;
}

}  // namespace keelson::kube
