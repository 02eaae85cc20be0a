// SPDX-License-Identifier: Apache-2.0
// Validation of Nodes.
#include <fmt/format.h>

#include <set>
#include <utility>

#include "kube/validate.h"

namespace keelson::kube {

namespace {

constexpr size_t kMaxPodCidrs = 2;

void check_pod_cidrs(Checks& checks, const Node& node, const Path& path) {
  const bool same_family =
      node.pod_cidrs.size() == kMaxPodCidrs &&
      (node.pod_cidrs[0].find(':') == std::string::npos) == (node.pod_cidrs[1].find(':') == std::string::npos);
  if (node.pod_cidrs.size() > kMaxPodCidrs || same_family) {
    checks.invalid(path, fmt::format("[{}]", fmt::join(node.pod_cidrs, " ")),
                   "may specify no more than one CIDR for each IP family");
  }
  for (size_t i = 0; i < node.pod_cidrs.size(); ++i) {
    checks.cidr(path[i], node.pod_cidrs[i]);
  }
}

void check_taints(Checks& checks, const Node& node, const Path& path) {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (size_t i = 0; i < node.taints.size(); ++i) {
    const Taint& taint = node.taints[i];
    const Path at = path[i];
    checks.qualified_name(at / "key", taint.key);
    checks.label_value(at / "value", taint.value);
    if (taint.effect.empty()) {
      checks.required(at / "effect");
    } else if (taint.effect != "NoExecute" && taint.effect != "NoSchedule" && taint.effect != "PreferNoSchedule") {
      checks.unsupported(at / "effect", taint.effect, {"NoExecute", "NoSchedule", "PreferNoSchedule"});
    }
    if (!seen.emplace(taint.key, taint.effect).second) {
      checks.duplicate(at, taint.key + ":" + taint.effect);
    }
  }
}

}  // namespace

FieldErrors validate_node(const Node& node) {
  Checks checks;
  const Path root;
  const Path metadata = root / "metadata";
  const Path spec = root / "spec";
  check_meta(checks, node.metadata, metadata);
  if (!node.metadata.name.empty()) {
    checks.dns_subdomain(metadata / "name", node.metadata.name);
  }
  if (!node.metadata.ns.empty()) {
    checks.forbidden(metadata / "namespace", "not allowed on this type");
  }
  check_pod_cidrs(checks, node, spec / "podCIDRs");
  check_taints(checks, node, spec / "taints");
  const Path status = root / "status";
  const Path addresses = status / "addresses";
  for (size_t i = 0; i < node.addresses.size(); ++i) {
    const NodeAddress& address = node.addresses[i];
    if (address.type == "InternalIP" || address.type == "ExternalIP") {
      checks.ip(addresses[i] / "address", address.address);
    }
  }
  return checks.take();
}

}  // namespace keelson::kube
