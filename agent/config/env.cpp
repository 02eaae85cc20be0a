// SPDX-License-Identifier: Apache-2.0
// Order and overrides of environment variables.
#include "agent/config/env.h"

#include <fmt/format.h>

#include <algorithm>

namespace keelson::agent {

namespace {

class Builder {
 public:
  void set(const std::string& name, const std::string& value) {
    auto found = std::find_if(variables_.begin(), variables_.end(), [&](const auto& v) { return v.first == name; });
    if (found == variables_.end()) {
      variables_.emplace_back(name, value);
    } else {
      found->second = value;
    }
    known_[name] = value;
  }
  const std::map<std::string, std::string>& known() const { return known_; }
  Environment take() { return std::move(variables_); }

 private:
  Environment variables_;
  std::map<std::string, std::string> known_;
};

std::string variable_name(const std::string& text) {
  std::string out;
  for (char c : text) {
    out += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return out;
}

/// Docker-link style variables of one Service (kubelet pkg/kubelet/envvars).
void add_service(Builder& out, const kube::Service& service) {
  if (service.cluster_ip.empty() || service.cluster_ip == "None" || service.ports.empty()) {
    return;
  }
  auto name = variable_name(service.metadata.name);
  out.set(name + "_SERVICE_HOST", service.cluster_ip);
  out.set(name + "_SERVICE_PORT", std::to_string(service.ports.front().port));
  for (const auto& port : service.ports) {
    if (!port.name.empty()) {
      out.set(name + "_SERVICE_PORT_" + variable_name(port.name), std::to_string(port.port));
    }
  }
  auto host = service.cluster_ip.find(':') == std::string::npos ? service.cluster_ip : "[" + service.cluster_ip + "]";
  for (size_t i = 0; i < service.ports.size(); ++i) {
    const auto& port = service.ports[i];
    auto protocol = std::string(kube::to_string(port.protocol));
    std::string lower;
    std::transform(protocol.begin(), protocol.end(), std::back_inserter(lower),
                   [](unsigned char c) { return std::tolower(c); });
    auto url = fmt::format("{}://{}:{}", lower, host, port.port);
    if (i == 0) {
      out.set(name + "_PORT", url);
    }
    auto prefix = fmt::format("{}_PORT_{}_{}", name, port.port, protocol);
    out.set(prefix, url);
    out.set(prefix + "_PROTO", lower);
    out.set(prefix + "_PORT", std::to_string(port.port));
    out.set(prefix + "_ADDR", service.cluster_ip);
  }
}

template <class Object>
const Object* find_object(const std::map<std::string, Object>& objects, const std::string& ns,
                          const std::string& name) {
  auto found = objects.find(ns + "/" + name);
  return found == objects.end() ? nullptr : &found->second;
}

/// envFrom of one kind of object.
template <class Object>
Result<> add_all(Builder& out, const std::map<std::string, Object>& objects, const char* kind, const std::string& ns,
                 const kube::EnvObjectRef& reference, const std::string& prefix) {
  const auto* object = find_object(objects, ns, reference.name);
  if (object == nullptr) {
    return reference.optional.value_or(false) ? Result<>()
                                              : fail(Kind::invalid, "{} \"{}\" not found", kind, reference.name);
  }
  for (const auto& [key, value] : object->data) {
    out.set(prefix + key, value);
  }
  return {};
}

/// The value of one key, or nothing if it is optional and missing.
template <class Object>
Result<std::optional<std::string>> key_value(const std::map<std::string, Object>& objects, const char* kind,
                                             const char* title, const std::string& ns,
                                             const kube::KeySelector& selector) {
  const auto* object = find_object(objects, ns, selector.name);
  bool optional = selector.optional.value_or(false);
  if (object == nullptr) {
    return optional ? Result<std::optional<std::string>>(std::nullopt)
                    : fail(Kind::invalid, "{} \"{}\" not found", kind, selector.name);
  }
  auto found = object->data.find(selector.key);
  if (found == object->data.end()) {
    return optional ? Result<std::optional<std::string>>(std::nullopt)
                    : fail(Kind::invalid, "couldn't find key {} in {} {}/{}", selector.key, title, ns, selector.name);
  }
  return found->second;
}

}  // namespace

Result<Environment> make_environment(const kube::Pod& pod, const kube::Container& container,
                                     const kube::DesiredState& objects, const std::vector<std::string>& pod_ips,
                                     const NodeFacts& node) {
  Builder out;
  const auto& ns = pod.metadata.ns;
  for (const auto& [key, service] : objects.services) {
    bool master = service.metadata.ns == "default" && service.metadata.name == "kubernetes";
    if (master || (pod.spec.enable_service_links && service.metadata.ns == ns)) {
      add_service(out, service);
    }
  }
  for (const auto& source : container.env_from) {
    if (source.config_map_ref) {
      KEELSON_DO(add_all(out, objects.config_maps, "configmap", ns, *source.config_map_ref, source.prefix));
    }
    if (source.secret_ref) {
      KEELSON_DO(add_all(out, objects.secrets, "secret", ns, *source.secret_ref, source.prefix));
    }
  }
  for (const auto& variable : container.env) {
    if (!variable.value_from) {
      out.set(variable.name, expand(variable.value, out.known()));
      continue;
    }
    const auto& from = *variable.value_from;
    if (from.field_ref) {
      KEELSON_TRY(auto value, field_value(pod, pod_ips, node, from.field_ref->field_path));
      out.set(variable.name, value);
    } else if (from.resource_field_ref) {
      KEELSON_TRY(auto value, resource_value(pod, container, node, *from.resource_field_ref));
      out.set(variable.name, value);
    } else if (!from.config_map_key_ref && !from.secret_key_ref) {
      return fail(Kind::invalid, "env {}: this node does not support valueFrom {}", variable.name,
                  from.unsupported.empty() ? "of a source that it does not know" : from.unsupported);
    } else {
      Result<std::optional<std::string>> value = std::nullopt;
      if (from.config_map_key_ref) {
        value = key_value(objects.config_maps, "configmap", "ConfigMap", ns, *from.config_map_key_ref);
      } else if (from.secret_key_ref) {
        value = key_value(objects.secrets, "secret", "Secret", ns, *from.secret_key_ref);
      }
      KEELSON_TRY(auto found, std::move(value));
      if (found) {
        out.set(variable.name, *found);
      }
    }
  }
  return out.take();
}

}  // namespace keelson::agent
