// SPDX-License-Identifier: Apache-2.0
// Validation of a whole pod: its metadata and what is not a container's or a volume's.
#include "kube/validation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <limits>

#include "kube/validate.h"

namespace keelson::kube {

namespace {

constexpr size_t kMaxAnnotationsSize = 256 * 1024;

void check_dns(Checks& checks, const PodSpec& spec, const Path& path) {
  const Path at = path / "dnsConfig";
  const Path servers = at / "nameservers";
  if (spec.dns_policy == DnsPolicy::none && !spec.dns_config) {
    return checks.required(at, "must provide `dnsConfig` when `dnsPolicy` is None");
  }
  if (!spec.dns_config) {
    return;
  }
  const PodDnsConfig& config = *spec.dns_config;
  if (spec.dns_policy == DnsPolicy::none && config.nameservers.empty()) {
    return checks.required(servers, "must provide at least one DNS nameserver when `dnsPolicy` is None");
  }
  if (config.nameservers.size() > 3) {
    checks.invalid(servers, fmt::format("{}", fmt::join(config.nameservers, " ")),
                   "must not have more than 3 nameservers");
  }
  for (size_t i = 0; i < config.nameservers.size(); ++i) {
    checks.ip(servers[i], config.nameservers[i]);
  }
  const Path searches = at / "searches";
  const std::string joined = fmt::format("{}", fmt::join(config.searches, " "));
  if (config.searches.size() > 32) {
    checks.invalid(searches, joined, "must not have more than 32 search paths");
  }
  if (joined.size() > 2048) {
    checks.invalid(searches, joined, "must not have more than 2048 characters (including spaces) in the search list");
  }
  for (size_t i = 0; i < config.searches.size(); ++i) {
    std::string_view search = config.searches[i];
    if (search == ".") {
      continue;
    }
    search.remove_suffix(search.ends_with('.') ? 1 : 0);
    // Underscores are allowed here: names of SRV records are searched too.
    std::string plain(search);
    std::erase(plain, '_');
    checks.dns_subdomain(searches[i], plain);
  }
  const Path options = at / "options";
  for (size_t i = 0; i < config.options.size(); ++i) {
    if (config.options[i].name.empty()) {
      checks.required(options[i], "must not be empty");
    }
  }
}

void check_tolerations(Checks& checks, const PodSpec& spec, const Path& path) {
  for (size_t i = 0; i < spec.tolerations.size(); ++i) {
    const Toleration& toleration = spec.tolerations[i];
    const Path at = path[i];
    if (!toleration.key.empty()) {
      checks.qualified_name(at / "key", toleration.key);
    } else if (toleration.op != "Exists") {
      checks.invalid(at / "operator", toleration.op,
                     "operator must be Exists when `key` is empty, which means \"match all values and all keys\"");
    }
    if (toleration.toleration_seconds && toleration.effect != "NoExecute") {
      checks.invalid(at / "effect", toleration.effect, "effect must be 'NoExecute' when `tolerationSeconds` is set");
    }
    if (toleration.op == "Exists" && !toleration.value.empty()) {
      checks.invalid(at / "operator", toleration.value, "value must be empty when `operator` is 'Exists'");
    } else if (!toleration.op.empty() && toleration.op != "Equal" && toleration.op != "Exists") {
      checks.unsupported(at / "operator", toleration.op, {"Equal", "Exists"});
    }
    const std::string& effect = toleration.effect;
    if (!effect.empty() && effect != "NoExecute" && effect != "NoSchedule" && effect != "PreferNoSchedule") {
      checks.unsupported(at / "effect", effect, {"NoExecute", "NoSchedule", "PreferNoSchedule"});
    }
  }
}

void check_names(Checks& checks, const PodSpec& spec, const Path& path) {
  if (!spec.service_account_name.empty()) {
    checks.dns_subdomain(path / "serviceAccountName", spec.service_account_name);
  }
  if (!spec.node_name.empty()) {
    checks.dns_subdomain(path / "nodeName", spec.node_name);
  }
  if (!spec.hostname.empty()) {
    checks.dns_label(path / "hostname", spec.hostname);
  }
  if (!spec.subdomain.empty()) {
    checks.dns_label(path / "subdomain", spec.subdomain);
  }
  if (!spec.priority_class_name.empty()) {
    checks.dns_subdomain(path / "priorityClassName", spec.priority_class_name);
  }
  if (spec.runtime_class_name) {
    checks.dns_subdomain(path / "runtimeClassName", *spec.runtime_class_name);
  }
  const Path secrets = path / "imagePullSecrets";
  for (size_t i = 0; i < spec.image_pull_secrets.size(); ++i) {
    const Path at = secrets[i];
    if (spec.image_pull_secrets[i].empty()) {
      checks.required(at / "name");
    }
  }
  const Path gates = path / "readinessGates";
  for (size_t i = 0; i < spec.readiness_gates.size(); ++i) {
    const Path at = gates[i];
    checks.qualified_name(at / "conditionType", spec.readiness_gates[i]);
  }
  const Path aliases = path / "hostAliases";
  for (size_t i = 0; i < spec.host_aliases.size(); ++i) {
    const Path at = aliases[i];
    checks.ip(at / "ip", spec.host_aliases[i].ip);
    const Path names = at / "hostnames";
    for (size_t j = 0; j < spec.host_aliases[i].hostnames.size(); ++j) {
      checks.dns_subdomain(names[j], spec.host_aliases[i].hostnames[j]);
    }
  }
}

void check_annotation_key(Checks& checks, std::string_view key, const Path& path) {
  std::string lower(key);
  for (char& c : lower) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  checks.qualified_name(path, lower);
}

void check_labels(Checks& checks, const StringMap& labels, const Path& path) {
  for (const auto& [key, value] : labels) {
    checks.qualified_name(path, key);
    checks.label_value(path, value);
  }
}

}  // namespace

void check_meta(Checks& checks, const ObjectMeta& metadata, const Path& path) {
  if (metadata.name.empty()) {
    checks.required(path / "name", "name or generateName is required");
  }
  if (!metadata.ns.empty()) {  // of a kind that has namespaces it never is, after defaulting
    checks.dns_label(path / "namespace", metadata.ns);
  }
  // Folders and cgroups are named by it: it must be one plain name.
  bool plain = metadata.uid.size() <= 63 &&
               std::ranges::all_of(metadata.uid, [](unsigned char c) { return std::isalnum(c) != 0 || c == '-'; });
  if (!plain) {
    checks.invalid(path / "uid", metadata.uid, "must consist of alphanumeric characters or '-', at most 63");
  }
  check_labels(checks, metadata.labels, path / "labels");
  size_t size = 0;
  for (const auto& [key, value] : metadata.annotations) {
    check_annotation_key(checks, key, path / "annotations");
    size += key.size() + value.size();
  }
  if (size > kMaxAnnotationsSize) {
    checks.too_long(path / "annotations", kMaxAnnotationsSize);
  }
}

std::string annotation_key_fault(std::string_view key) {
  Checks checks;
  check_annotation_key(checks, key, Path());
  const FieldErrors errors = checks.take();
  return errors.empty() ? "" : errors.front().text;
}

FieldErrors validate_pod(const Pod& pod) {
  Checks checks;
  const Path root;
  const Path metadata = root / "metadata";
  const Path path = root / "spec";
  const PodSpec& spec = pod.spec;
  check_meta(checks, pod.metadata, metadata);
  if (!pod.metadata.name.empty()) {
    checks.dns_subdomain(metadata / "name", pod.metadata.name);
  }
  const VolumesByName volumes = check_volumes(checks, spec.volumes, path / "volumes");
  check_containers(checks, spec, volumes, path);
  if (!spec.ephemeral_containers.empty()) {
    checks.forbidden(path / "ephemeralContainers", "ephemeral containers not allowed in a pod that is made");
  }
  check_pod_security(checks, spec, path);
  check_dns(checks, spec, path);
  check_tolerations(checks, spec, path / "tolerations");
  check_names(checks, spec, path);
  check_labels(checks, spec.node_selector, path / "nodeSelector");
  checks.non_negative(path / "terminationGracePeriodSeconds", spec.termination_grace_period_seconds);
  constexpr int64_t kMostSeconds = std::numeric_limits<int32_t>::max();
  if (const auto deadline = spec.active_deadline_seconds; deadline && (*deadline < 1 || *deadline > kMostSeconds)) {
    checks.invalid(path / "activeDeadlineSeconds", *deadline, "must be between 1 and 2147483647, inclusive");
  }
  if (spec.os_name && *spec.os_name != "linux" && *spec.os_name != "windows") {
    checks.unsupported(path / "os" / "name", *spec.os_name, {"linux", "windows"});
  }
  if (spec.preemption_policy && *spec.preemption_policy != "Never" &&
      *spec.preemption_policy != "PreemptLowerPriority") {
    checks.unsupported(path / "preemptionPolicy", *spec.preemption_policy, {"Never", "PreemptLowerPriority"});
  }
  if (claims_resources(spec)) {
    checks.forbidden(path / "resourceClaims", "this node does not support dynamic resources");
  }
  if (spec.resources) {
    check_resources(checks, *spec.resources, path / "resources");
  }
  for (const auto& [name, quantity] : spec.overhead) {
    const Path overhead = path / "overhead";
    if (quantity.negative()) {
      checks.invalid(overhead.key(name), quantity.to_string(), "must be greater than or equal to 0");
    }
  }
  return checks.take();
}

}  // namespace keelson::kube
