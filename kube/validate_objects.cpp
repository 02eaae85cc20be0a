// SPDX-License-Identifier: Apache-2.0
// Validation of ConfigMaps, Secrets and Services.
#include <set>

#include "kube/validate.h"
#include "kube/value.h"

namespace keelson::kube {

namespace {

constexpr size_t kMaxDataSize = 1024 * 1024;

void check_named(Checks& checks, const ObjectMeta& metadata, const Path& path) {
  check_meta(checks, metadata, path);
  if (!metadata.name.empty()) {
    checks.dns_subdomain(path / "name", metadata.name);
  }
}

/// Keys' form; answers with the size of all values.
size_t check_data(Checks& checks, const StringMap& data, const Path& path) {
  size_t size = 0;
  for (const auto& [key, value] : data) {
    checks.data_key(path.key(key), key);
    size += value.size();
  }
  return size;
}

void check_secret_type(Checks& checks, const Secret& secret, const Path& data) {
  const auto need = [&](std::string_view key) {
    const auto it = secret.data.find(std::string(key));
    if (it == secret.data.end()) {
      checks.required(data.key(key));
    }
    return it;
  };
  const auto need_json = [&](std::string_view key) {
    const auto it = need(key);
    if (it == secret.data.end()) {
      return;
    }
    const Tree tree = read_json(it->second);
    if (tree.error || tree.root.type != Value::Type::map) {
      checks.invalid(data.key(key), "<secret contents redacted>", "not a JSON object");
    }
  };
  if (secret.type == "kubernetes.io/dockercfg") {
    need_json(".dockercfg");
  } else if (secret.type == "kubernetes.io/dockerconfigjson") {
    need_json(".dockerconfigjson");
  } else if (secret.type == "kubernetes.io/tls") {
    need("tls.crt");
    need("tls.key");
  } else if (secret.type == "kubernetes.io/ssh-auth") {
    need("ssh-privatekey");
  } else if (secret.type == "kubernetes.io/basic-auth" && !secret.data.contains("username")) {
    if (!secret.data.contains("password")) {
      need("username");
      need("password");
    }
  }
}

void check_service_ports(Checks& checks, const Service& service, const Path& path) {
  const bool headless = service.cluster_ip == "None";
  if (service.ports.empty() && !headless && service.type != ServiceType::external_name) {
    checks.required(path);
  }
  std::set<std::string_view> names;
  std::set<std::pair<Protocol, int32_t>> numbers;
  for (size_t i = 0; i < service.ports.size(); ++i) {
    const ServicePort& port = service.ports[i];
    const Path at = path[i];
    if (port.name.empty()) {
      if (service.ports.size() > 1) {
        checks.required(at / "name");
      }
    } else {
      checks.dns_label(at / "name", port.name);
      if (!names.insert(port.name).second) {
        checks.duplicate(at / "name", port.name);
      }
    }
    checks.port_number(at / "port", port.port);
    checks.port(at / "targetPort", port.target_port);
    if (port.node_port != 0) {
      checks.port_number(at / "nodePort", port.node_port);
    }
    if (!numbers.emplace(port.protocol, port.port).second) {
      checks.duplicate(at, std::to_string(port.port));
    }
  }
}

}  // namespace

FieldErrors validate_config_map(const ConfigMap& config_map) {
  Checks checks;
  const Path root;
  check_named(checks, config_map.metadata, root / "metadata");
  const Path data = root / "data";
  const size_t size =
      check_data(checks, config_map.data, data) + check_data(checks, config_map.binary_data, root / "binaryData");
  for (const auto& [key, text] : config_map.data) {
    if (config_map.binary_data.contains(key)) {
      checks.invalid(data.key(key), key, "duplicate of key present in binaryData");
    }
  }
  if (size > kMaxDataSize) {
    checks.too_long(root, kMaxDataSize);
  }
  return checks.take();
}

FieldErrors validate_secret(const Secret& secret) {
  Checks checks;
  const Path root;
  const Path data = root / "data";
  check_named(checks, secret.metadata, root / "metadata");
  if (check_data(checks, secret.data, data) > kMaxDataSize) {
    checks.too_long(data, kMaxDataSize);
  }
  check_secret_type(checks, secret, data);
  return checks.take();
}

FieldErrors validate_service(const Service& service) {
  Checks checks;
  const Path root;
  const Path metadata = root / "metadata";
  const Path spec = root / "spec";
  check_meta(checks, service.metadata, metadata);
  if (!service.metadata.name.empty()) {
    checks.dns_1035(metadata / "name", service.metadata.name);
  }
  check_service_ports(checks, service, spec / "ports");
  if (!service.cluster_ip.empty() && service.cluster_ip != "None") {
    checks.ip(spec / "clusterIP", service.cluster_ip);
  }
  if (service.type == ServiceType::external_name && service.external_name.empty()) {
    checks.required(spec / "externalName");
  }
  if (service.session_affinity != "None" && service.session_affinity != "ClientIP") {
    checks.unsupported(spec / "sessionAffinity", service.session_affinity, {"ClientIP", "None"});
  }
  return checks.take();
}

}  // namespace keelson::kube
