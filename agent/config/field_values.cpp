// SPDX-License-Identifier: Apache-2.0
// Field paths and expansion.
#include "agent/config/field_values.h"

#include <fmt/format.h>

#include <functional>

#include "agent/config/go_quote.h"

namespace keelson::agent {

namespace {

std::string joined(const std::vector<std::string>& list) {
  std::string out;
  for (const auto& item : list) {
    out += (out.empty() ? "" : ",") + item;
  }
  return out;
}

std::string first(const std::vector<std::string>& list) {
  return list.empty() ? "" : list.front();
}

/// key="value" lines, values quoted as Go does.
std::string format_map(const kube::StringMap& map) {
  std::string out;
  for (const auto& [key, value] : map) {
    out += fmt::format("{}{}={}", out.empty() ? "" : "\n", key, go_quoted(value));
  }
  return out;
}

/// The k of "metadata.labels['k']".
std::string subscript(const std::string& path, std::string_view prefix) {
  if (path.starts_with(prefix) && path.ends_with("']") && path.size() > prefix.size() + 4 &&
      path.substr(prefix.size(), 2) == "['") {
    return path.substr(prefix.size() + 2, path.size() - prefix.size() - 4);
  }
  return "";
}

std::string lookup(const kube::StringMap& map, const std::string& key) {
  auto found = map.find(key);
  return found == map.end() ? "" : found->second;
}

/// `$(NAME)` by what `value` makes of the name and of the text as written.
std::string expand_with(const std::string& text,
                        const std::function<std::string(const std::string& name, const std::string& written)>& value) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 == text.size()) {
      out += text[i];
    } else if (text[i + 1] == '$') {
      out += '$';
      ++i;
    } else if (text[i + 1] == '(') {
      auto end = text.find(')', i);
      if (end == std::string::npos) {
        out += text[i];
        continue;
      }
      auto name = text.substr(i + 2, end - i - 2);
      out += value(name, text.substr(i, end - i + 1));
      i = end;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

Result<std::string> field_value(const kube::Pod& pod, const std::vector<std::string>& pod_ips, const NodeFacts& node,
                                const std::string& path) {
  const auto& meta = pod.metadata;
  if (auto key = subscript(path, "metadata.labels"); !key.empty()) {
    return lookup(meta.labels, key);
  }
  if (auto key = subscript(path, "metadata.annotations"); !key.empty()) {
    return lookup(meta.annotations, key);
  }
  const std::map<std::string, std::string> values = {
      {"metadata.name", meta.name},
      {"metadata.namespace", meta.ns},
      {"metadata.uid", meta.uid},
      {"metadata.labels", format_map(meta.labels)},
      {"metadata.annotations", format_map(meta.annotations)},
      {"spec.nodeName", node.name},
      {"spec.serviceAccountName", pod.spec.service_account_name},
      {"status.hostIP", first(node.ips)},
      {"status.hostIPs", joined(node.ips)},
      {"status.podIP", first(pod.spec.host_network ? node.ips : pod_ips)},
      {"status.podIPs", joined(pod.spec.host_network ? node.ips : pod_ips)},
  };
  auto found = values.find(path);
  if (found == values.end()) {
    return fail(Kind::invalid, "unsupported fieldPath: {}", path);
  }
  return found->second;
}

Result<std::string> resource_value(const kube::Pod& pod, const kube::Container& container, const NodeFacts& node,
                                   const kube::ResourceFieldRef& reference) {
  const auto* source = &container;
  if (!reference.container_name.empty()) {
    source = kube::find_container(pod.spec, reference.container_name);
    if (source == nullptr) {
      return fail(Kind::invalid, "container {} not found", reference.container_name);
    }
  }
  auto dot = reference.resource.find('.');
  auto kind = reference.resource.substr(0, dot);
  auto name = dot == std::string::npos ? "" : reference.resource.substr(dot + 1);
  if (kind != "limits" && kind != "requests") {
    return fail(Kind::invalid, "unsupported container resource: {}", reference.resource);
  }
  const auto& list = kind == "limits" ? source->resources.limits : source->resources.requests;
  auto found = list.find(name);
  kube::Quantity amount;
  if (found != list.end() && !(kind == "limits" && found->second.zero())) {
    amount = found->second;
  } else if (kind == "limits" && name == "cpu") {
    amount = kube::Quantity::of_milli(node.allocatable_cpu_milli);
  } else if (kind == "limits" && name == "memory") {
    amount = kube::Quantity::of(node.allocatable_memory);
  } else if (kind == "limits" && name == "ephemeral-storage") {
    amount = kube::Quantity::of(node.allocatable_storage);
  }
  return std::to_string(amount.in_units_of(reference.divisor));
}

std::string expand(const std::string& text, const std::map<std::string, std::string>& variables) {
  return expand_with(text, [&](const std::string& name, const std::string& written) {
    auto found = variables.find(name);
    return found == variables.end() ? written : found->second;
  });
}

Result<std::string> expand_sub_path(const std::string& text, const std::map<std::string, std::string>& variables) {
  std::string missing;
  auto path = expand_with(text, [&](const std::string& name, const std::string&) {
    auto value = lookup(variables, name);
    if (value.empty()) {
      missing += fmt::format("{}\"{}\"", missing.empty() ? "" : ", ", name);
    }
    return value;
  });
  if (!missing.empty()) {
    return fail(Kind::invalid, "missing value for {}", missing);
  }
  if (path.starts_with('/')) {
    return fail(Kind::invalid, "error SubPath `{}` must not be an absolute path", path);
  }
  if (("/" + path + "/").find("/../") != std::string::npos) {
    return fail(Kind::invalid, "unable to provision SubPath `{}`: must not contain '..'", path);
  }
  return path;
}

}  // namespace keelson::agent
