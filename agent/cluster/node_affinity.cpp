// SPDX-License-Identifier: Apache-2.0
// spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution, on one node.
#include <charconv>

#include <boost/json/parse.hpp>

#include "agent/cluster/admission.h"

namespace keelson::agent {

namespace json = boost::json;

namespace {

std::string_view text_at(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : std::string_view();
}

const json::array* list_at(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value != nullptr ? value->if_array() : nullptr;
}

std::optional<int64_t> number_of(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

/// One NodeSelectorRequirement on the value of its key; nullptr: the node does not have the key.
bool holds(const json::object& requirement, const std::string* value) {
  const auto op = text_at(requirement, "operator");
  if (op == "Exists" || op == "DoesNotExist") {
    return (value != nullptr) == (op == "Exists");
  }
  const auto* values = list_at(requirement, "values");
  if (op == "In" || op == "NotIn") {
    bool found = false;
    for (const auto& wanted : values != nullptr ? *values : json::array()) {
      found = found || (value != nullptr && wanted.is_string() && std::string_view(wanted.get_string()) == *value);
    }
    return found == (op == "In");
  }
  if ((op == "Gt" || op == "Lt") && value != nullptr && values != nullptr && values->size() == 1 &&
      values->front().is_string()) {
    const auto has = number_of(*value);
    const auto bound = number_of(values->front().get_string());
    return has && bound && (op == "Gt" ? *has > *bound : *has < *bound);
  }
  return false;
}

bool all_hold(const json::array* requirements, const kube::StringMap& values) {
  for (const auto& requirement : requirements != nullptr ? *requirements : json::array()) {
    const auto* object = requirement.if_object();
    if (object == nullptr) {
      return false;
    }
    const auto found = values.find(std::string(text_at(*object, "key")));
    if (!holds(*object, found == values.end() ? nullptr : &found->second)) {
      return false;
    }
  }
  return true;
}

/// Any of the terms; all of a term's expressions. A term without any matches nothing.
bool matches_terms(const json::array& terms, const AdmissionNode& node) {
  const kube::StringMap node_fields{{"metadata.name", node.name}};
  for (const auto& term : terms) {
    const auto* object = term.if_object();
    if (object == nullptr) {
      continue;
    }
    const auto* expressions = list_at(*object, "matchExpressions");
    const auto* of_fields = list_at(*object, "matchFields");
    const bool empty = (expressions == nullptr || expressions->empty()) && (of_fields == nullptr || of_fields->empty());
    if (!empty && all_hold(expressions, node.labels) && all_hold(of_fields, node_fields)) {
      return true;
    }
  }
  return false;
}

}  // namespace

bool wants_node(const kube::Pod& pod, const AdmissionNode& node) {
  for (const auto& [key, value] : pod.spec.node_selector) {
    const auto label = node.labels.find(key);
    if (label == node.labels.end() || label->second != value) {
      return false;
    }
  }
  if (pod.spec.affinity.json.empty()) {
    return true;
  }
  boost::system::error_code error;
  const auto affinity = json::parse(pod.spec.affinity.json, error);
  if (error || !affinity.is_object()) {
    return false;
  }
  const auto* required = affinity.find_pointer("/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution", error);
  if (required == nullptr || !required->is_object()) {
    return true;
  }
  const auto* terms = list_at(required->get_object(), "nodeSelectorTerms");
  return terms != nullptr && matches_terms(*terms, node);
}

}  // namespace keelson::agent
