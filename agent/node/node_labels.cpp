// SPDX-License-Identifier: Apache-2.0
#include "agent/node/node_labels.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "kube/validation.h"

namespace keelson::agent {

namespace {

constexpr std::array<std::string_view, 2> kNamespaces = {"kubelet.kubernetes.io", "node.kubernetes.io"};
constexpr std::array<std::string_view, 11> kAllowed = {"beta.kubernetes.io/arch",
                                                       "beta.kubernetes.io/instance-type",
                                                       "beta.kubernetes.io/os",
                                                       "failure-domain.beta.kubernetes.io/region",
                                                       "failure-domain.beta.kubernetes.io/zone",
                                                       "kubernetes.io/arch",
                                                       "kubernetes.io/hostname",
                                                       "kubernetes.io/os",
                                                       "node.kubernetes.io/instance-type",
                                                       "topology.kubernetes.io/region",
                                                       "topology.kubernetes.io/zone"};

/// `name` itself, or a domain below it.
bool within(std::string_view domain, std::string_view name) {
  return domain == name ||
         (domain.size() > name.size() && domain.ends_with(name) && domain[domain.size() - name.size() - 1] == '.');
}

bool may_be_given(std::string_view key) {
  const size_t slash = key.find('/');
  const auto domain = slash == std::string_view::npos ? std::string_view() : key.substr(0, slash);
  if (!within(domain, "kubernetes.io") && !within(domain, "k8s.io")) {
    return true;
  }
  return std::ranges::find(kAllowed, key) != kAllowed.end() ||
         std::ranges::any_of(kNamespaces, [&](std::string_view name) { return within(domain, name); });
}

/// The first thing wrong with a Node that has these.
Result<> check(const kube::Node& node) {
  const auto errors = kube::validate_node(node);
  if (!errors.empty()) {
    return fail(Kind::invalid, "{}", errors.front().text);
  }
  return {};
}

kube::Node empty_node() {
  kube::Node node;
  node.metadata.name = "node";
  return node;
}

}  // namespace

Result<kube::StringMap> parse_node_labels(const std::vector<std::string>& texts) {
  kube::StringMap labels;
  for (const std::string& text : texts) {
    const size_t sign = text.find('=');
    if (sign == std::string::npos) {
      return fail(Kind::invalid, "'{}' is not KEY=VALUE", text);
    }
    const auto key = text.substr(0, sign);
    if (!may_be_given(key)) {
      return fail(Kind::invalid,
                  "'{}': a node may not give itself labels of kubernetes.io or k8s.io, but below {} and these: {}", key,
                  fmt::join(kNamespaces, ", "), fmt::join(kAllowed, ", "));
    }
    auto node = empty_node();
    node.metadata.labels[key] = text.substr(sign + 1);
    KEELSON_DO(check(node).context("'{}'", text));
    labels[key] = text.substr(sign + 1);
  }
  return labels;
}

Result<std::vector<kube::Taint>> parse_taints(const std::vector<std::string>& texts) {
  auto node = empty_node();
  for (const std::string& text : texts) {
    const size_t colon = text.rfind(':');
    if (colon == std::string::npos) {
      return fail(Kind::invalid, "'{}' is not KEY=VALUE:EFFECT", text);
    }
    const size_t sign = std::min(text.find('='), colon);
    kube::Taint taint{.key = text.substr(0, sign),
                      .value = sign < colon ? text.substr(sign + 1, colon - sign - 1) : "",
                      .effect = text.substr(colon + 1),
                      .time_added = {}};
    node.taints.push_back(std::move(taint));
    KEELSON_DO(check(node).context("'{}'", text));
  }
  return std::move(node.taints);
}

}  // namespace keelson::agent
