// SPDX-License-Identifier: Apache-2.0
// The other kinds a node reads: ConfigMap, Secret, Service.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kube/container.h"
#include "kube/int_or_string.h"
#include "kube/meta.h"

namespace keelson::kube {

/// No key is in both maps of a valid one. binary_data holds the bytes, not their base64.
struct ConfigMap {
  ObjectMeta metadata;
  std::optional<bool> immutable;
  StringMap data;
  StringMap binary_data;
  bool operator==(const ConfigMap&) const = default;
};

/// `data` holds the bytes, with stringData already merged over it. Never print, log or put into an error what is in it.
struct Secret {
  ObjectMeta metadata;
  std::optional<bool> immutable;
  StringMap data;
  std::string type = "Opaque";  ///< "kubernetes.io/dockerconfigjson" ...
  bool operator==(const Secret&) const = default;
};

enum class ServiceType { cluster_ip, node_port, load_balancer, external_name };
std::string_view to_string(ServiceType type);

struct ServicePort {
  std::string name;
  Protocol protocol = Protocol::tcp;
  std::string app_protocol;
  int32_t port = 0;
  IntOrString target_port;  ///< After defaulting, `port` where it was not given.
  int32_t node_port = 0;
  bool operator==(const ServicePort&) const = default;
};

/// A Service as far as pods need it (env variables, endpoints). Its other fields are dropped.
struct Service {
  ObjectMeta metadata;
  ServiceType type = ServiceType::cluster_ip;
  std::string cluster_ip;  ///< Empty: not given yet; "None": headless.
  std::vector<std::string> cluster_ips;
  std::vector<ServicePort> ports;
  StringMap selector;  ///< Empty: endpoints come from elsewhere.
  std::string session_affinity;
  std::string external_name;
  RawJson status;
  bool operator==(const Service&) const = default;
};

/// What the API server fills in, in place: the namespace "default", a Secret's type, a Service port's target.
/// Idempotent.
void default_config_map(ConfigMap& config_map);
void default_secret(Secret& secret);
void default_service(Service& service);

}  // namespace keelson::kube
