// SPDX-License-Identifier: Apache-2.0
// Validation of ConfigMaps, Secrets and RuntimeClasses.
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

FieldErrors validate_runtime_class(const RuntimeClass& runtime_class) {
  Checks checks;
  const Path root;
  const Path metadata = root / "metadata";
  check_named(checks, runtime_class.metadata, metadata);
  if (!runtime_class.metadata.ns.empty()) {
    checks.forbidden(metadata / "namespace", "not allowed on this type");
  }
  if (runtime_class.handler.empty()) {
    checks.required(root / "handler");
  } else {
    checks.dns_label(root / "handler", runtime_class.handler);
  }
  for (const auto& [name, quantity] : runtime_class.overhead) {
    if (quantity.negative()) {
      checks.invalid((root / "overhead" / "podFixed").key(name), quantity.to_string(),
                     "must be greater than or equal to 0");
    }
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

}  // namespace keelson::kube
