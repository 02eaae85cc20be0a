// SPDX-License-Identifier: Apache-2.0
#include "tests/support/strategic_merge.h"

#include <algorithm>
#include <string_view>

#include <boost/json/array.hpp>

namespace keelson::testing {

namespace json = boost::json;

namespace {

/// Of a list that is merged; empty: the list is replaced.
std::string_view merge_key(std::string_view field) {
  return field == "conditions" || field == "addresses" ? "type"
         : field == "podIPs" || field == "hostIPs"     ? "ip"
         : field == "ownerReferences"                  ? "uid"
                                                       : "";
}

/// What is said about a list or an item of it: "replace", "delete"; empty: nothing.
std::string_view directive_of(const json::value& item) {
  const auto* found = item.is_object() ? item.as_object().if_contains("$patch") : nullptr;
  return found != nullptr ? std::string_view(found->as_string()) : std::string_view();
}

bool replaces(const json::array& list) {
  return std::ranges::any_of(list, [](const json::value& item) { return directive_of(item) == "replace"; });
}

void merge_list(json::array& into, const json::array& patch, std::string_view key) {
  const bool whole = replaces(patch);
  if (whole) {
    into.clear();
  }
  for (const auto& item : patch) {
    const auto directive = directive_of(item);
    if (directive == "replace") {
      continue;
    }
    auto* const found =
        whole ? into.end()
              : std::ranges::find_if(into, [&](const json::value& one) { return one.at(key) == item.at(key); });
    if (directive == "delete") {
      if (found != into.end()) {
        into.erase(found);
      }
    } else if (found == into.end()) {
      into.push_back(json::object());
      strategic_merge(into.back().as_object(), item.as_object());
    } else {
      strategic_merge(found->as_object(), item.as_object());
    }
  }
}

}  // namespace

void strategic_merge(json::object& into, const json::object& patch) {
  for (const auto& [key, value] : patch) {
    if (value.is_null()) {
      into.erase(key);
    } else if (value.is_object()) {
      auto& old = into[key];
      if (!old.is_object()) {
        old = json::object();
      }
      strategic_merge(old.as_object(), value.as_object());
    } else if (value.is_array() && !merge_key(key).empty()) {
      auto& old = into[key];
      if (!old.is_array()) {
        old = json::array();
      }
      merge_list(old.as_array(), value.as_array(), merge_key(key));
    } else {
      into[key] = value;
    }
  }
}

}  // namespace keelson::testing
