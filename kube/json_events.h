// SPDX-License-Identifier: Apache-2.0
// What the readers of JSON have in common: the bounds of codec.h for Boost.JSON's event parser, and the events that
// mean nothing to them.
#pragma once

#include <boost/json/basic_parser.hpp>
#include <boost/json/parse_options.hpp>

#include "kube/codec.h"

namespace keelson::kube {

/// The names and signatures are Boost.JSON's (basic_parser handler requirements); a handler adds the other events.
struct JsonEvents {
  static constexpr size_t max_object_size = static_cast<size_t>(-1);
  static constexpr size_t max_array_size = static_cast<size_t>(-1);
  static constexpr size_t max_key_size = kMaxTextSize;
  static constexpr size_t max_string_size = kMaxTextSize;

  static bool on_document_begin(boost::json::error_code&) { return true; }
  static bool on_document_end(boost::json::error_code&) { return true; }
  static bool on_comment_part(boost::json::string_view, boost::json::error_code&) { return true; }
  static bool on_comment(boost::json::string_view, boost::json::error_code&) { return true; }
};

inline boost::json::parse_options json_options() {
  boost::json::parse_options options;
  options.max_depth = kMaxDepth;
  return options;
}

}  // namespace keelson::kube
