// SPDX-License-Identifier: Apache-2.0
// How every list is printed: a kubectl-like table, JSON or YAML.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/value.hpp>

#include "common/result.h"

namespace keelson::cli {

enum class Format { table, wide, json, yaml };

/// "", "wide", "json" or "yaml"; Kind::invalid otherwise.
Result<Format> parse_format(const std::string& text);

/// Columns padded as kubectl pads them: three spaces between, nothing after the last. An empty cell prints as given.
std::string format_table(const std::vector<std::vector<std::string>>& rows);

/// Indented by four, keys in their order, a newline at the end.
std::string format_json(const boost::json::value& value);
/// Block style, keys sorted, as kubectl -o yaml.
std::string format_yaml(const boost::json::value& value);

/// The value below `path`, or null if any step is absent: find(pod, {"status", "phase"}).
const boost::json::value& find(const boost::json::value& value, std::initializer_list<std::string_view> path);
/// The string below `path`, or `otherwise`.
std::string text_at(const boost::json::value& value, std::initializer_list<std::string_view> path,
                    std::string_view otherwise = "");
/// The integer below `path`, or 0.
int64_t number_at(const boost::json::value& value, std::initializer_list<std::string_view> path);
/// The array below `path`, or an empty one.
const boost::json::array& list_at(const boost::json::value& value, std::initializer_list<std::string_view> path);

/// Age of an RFC 3339 time as kubectl prints it; "<unknown>" for an absent or wrong one.
std::string age_of(const std::string& time);

}  // namespace keelson::cli
