// SPDX-License-Identifier: Apache-2.0
// Rules of env, envFrom and what they refer to.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "kube/text.h"
#include "kube/validate.h"

namespace keelson::kube {

namespace {

void check_env_name(Checks& checks, std::string_view name, const Path& path) {
  const auto printable = [](char c) { return c >= 0x20 && c < 0x7f && c != '='; };
  if (!std::ranges::all_of(name, printable)) {
    checks.invalid(path, name,
                   "a valid environment variable name must consist only of printable ASCII characters other than '='");
  }
}

void check_key_selector(Checks& checks, const KeySelector& selector, const Path& path) {
  if (selector.name.empty()) {
    checks.required(path / "name");
  }
  if (selector.key.empty()) {
    checks.required(path / "key");
  } else {
    checks.data_key(path / "key", selector.key);
  }
}

void check_source(Checks& checks, const EnvVar& variable, const Path& path) {
  const EnvVarSource& source = *variable.value_from;
  int count = 0;
  if (source.field_ref) {
    ++count;
    check_field_ref(checks, *source.field_ref, false, path / "fieldRef");
  }
  if (source.resource_field_ref) {
    ++count;
    check_resource_field_ref(checks, *source.resource_field_ref, false, path / "resourceFieldRef");
  }
  if (source.config_map_key_ref) {
    ++count;
    check_key_selector(checks, *source.config_map_key_ref, path / "configMapKeyRef");
  }
  if (source.secret_key_ref) {
    ++count;
    check_key_selector(checks, *source.secret_key_ref, path / "secretKeyRef");
  }
  if (!source.unsupported.empty()) {
    ++count;
    checks.forbidden(path / source.unsupported, "this node does not support this source");
  }
  if (count == 0) {
    checks.invalid(path, "",
                   "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`");
  } else if (!variable.value.empty()) {
    checks.invalid(path, "", "may not be specified when `value` is not empty");
  } else if (count > 1) {
    checks.invalid(path, "", "may not have more than one field specified at a time");
  }
}

void check_env_from(Checks& checks, const EnvFromSource& source, const Path& path) {
  check_env_name(checks, source.prefix, path / "prefix");
  if (source.config_map_ref && source.secret_ref) {
    checks.invalid(path, "", "may not have more than one field specified at a time");
  } else if (!source.config_map_ref && !source.secret_ref) {
    checks.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`");
  }
  if (source.config_map_ref && source.config_map_ref->name.empty()) {
    checks.required(path / "configMapRef" / "name");
  }
  if (source.secret_ref && source.secret_ref->name.empty()) {
    checks.required(path / "secretRef" / "name");
  }
}

/// "metadata.labels['app']" -> {"metadata.labels", "app"}; an empty second half if there is no subscript.
std::pair<std::string_view, std::string_view> split_subscript(std::string_view path) {
  const size_t open = path.find("['");
  if (open == std::string_view::npos || !path.ends_with("']") || open + 4 > path.size()) {
    return {path, {}};
  }
  return {path.substr(0, open), path.substr(open + 2, path.size() - open - 4)};
}

}  // namespace

void check_field_ref(Checks& checks, const FieldRef& ref, bool in_volume, const Path& path) {
  const Path field = path / "fieldPath";
  if (ref.field_path.empty()) {
    return checks.required(field);
  }
  if (ref.api_version != "v1") {
    return checks.invalid(field, ref.field_path,
                          fmt::format("error converting fieldPath: unsupported pod version: {}", ref.api_version));
  }
  const auto [base, key] = split_subscript(ref.field_path);
  if (base.size() != ref.field_path.size()) {
    if (base != "metadata.labels" && base != "metadata.annotations") {
      return checks.invalid(path, base, "does not support subscript");
    }
    std::string name(key);
    if (base == "metadata.annotations") {
      std::ranges::transform(name, name.begin(),
                             [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    }
    return checks.qualified_name(path, name);
  }
  static constexpr std::array<std::string_view, 9> kEnv = {
      "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
      "status.hostIP", "status.hostIPs",     "status.podIP", "status.podIPs"};
  static constexpr std::array<std::string_view, 5> kVolume = {"metadata.annotations", "metadata.labels",
                                                              "metadata.name", "metadata.namespace", "metadata.uid"};
  if (in_volume && std::ranges::find(kVolume, base) == kVolume.end()) {
    checks.unsupported(field, base, {kVolume[0], kVolume[1], kVolume[2], kVolume[3], kVolume[4]});
  } else if (!in_volume && std::ranges::find(kEnv, base) == kEnv.end()) {
    checks.unsupported(field, base, {kEnv[0], kEnv[1], kEnv[2], kEnv[3], kEnv[4], kEnv[5], kEnv[6], kEnv[7], kEnv[8]});
  }
}

void check_resource_field_ref(Checks& checks, const ResourceFieldRef& ref, bool in_volume, const Path& path) {
  const Path resource = path / "resource";
  if (in_volume && ref.container_name.empty()) {
    checks.required(path / "containerName");
  } else if (ref.resource.empty()) {
    checks.required(resource);
  }
  const size_t dot = std::min(ref.resource.find('.'), ref.resource.size());
  const std::string_view side = std::string_view(ref.resource).substr(0, dot);
  const std::string_view name = std::string_view(ref.resource).substr(std::min(dot + 1, ref.resource.size()));
  const bool known =
      (side == "limits" || side == "requests") &&
      (name == "cpu" || name == "memory" || name == "ephemeral-storage" || name.starts_with("hugepages-"));
  if (!known && !ref.resource.empty()) {
    checks.unsupported(resource, ref.resource,
                       {"limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu",
                        "requests.ephemeral-storage", "requests.memory"});
  }
  if (ref.divisor.zero()) {
    return;
  }
  const std::string divisor = ref.divisor.to_string();
  const bool cpu = name == "cpu" && (divisor == "1" || divisor == "1m");
  static constexpr std::string_view kSizes = " 1 1k 1M 1G 1T 1P 1E 1Ki 1Mi 1Gi 1Ti 1Pi 1Ei ";
  const bool size = name != "cpu" && kSizes.find(" " + divisor + " ") != std::string_view::npos;
  if (known && !cpu && !size) {
    checks.invalid(
        path / "divisor", divisor,
        name == "cpu" ? "only divisor's values 1m and 1 are supported with the cpu resource"
                      : fmt::format("only divisor's values 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei, 1, 1k, 1M, 1G, 1T, 1P, 1E are "
                                    "supported with the {} resource",
                                    name));
  }
}

void check_env(Checks& checks, const Container& container, const Path& path) {
  const Path env = path / "env";
  for (size_t i = 0; i < container.env.size(); ++i) {
    const EnvVar& variable = container.env[i];
    const Path at = env[i];
    if (variable.name.empty()) {
      checks.required(at / "name");
    } else {
      check_env_name(checks, variable.name, at / "name");
    }
    if (variable.value_from) {
      check_source(checks, variable, at / "valueFrom");
    }
  }
  const Path from = path / "envFrom";
  for (size_t i = 0; i < container.env_from.size(); ++i) {
    check_env_from(checks, container.env_from[i], from[i]);
  }
}

}  // namespace keelson::kube
