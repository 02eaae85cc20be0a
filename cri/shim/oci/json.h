// SPDX-License-Identifier: Apache-2.0
// JSON as far as a bundle needs it: written field by field, and one text read back. The shim links no library for it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace keelson::cri::shim::oci {

/// `text` as a JSON string, quotes included. Bytes that are no UTF-8 stay as they are.
std::string quoted(std::string_view text);

/// A list of texts as a JSON array.
std::string quoted_list(const std::vector<std::string>& texts);

/// Values that are JSON already, as an array.
std::string array(const std::vector<std::string>& values);

/// The text behind `"name":` in a JSON object of texts, as a line of a log is one; empty if there is none.
std::string text_of(std::string_view object, std::string_view name);

/// An object in the making.
class Object {
 public:
  /// `value` is JSON.
  Object& put(std::string_view name, std::string_view value);
  Object& put_text(std::string_view name, std::string_view text) { return put(name, quoted(text)); }
  Object& put_flag(std::string_view name, bool value) { return put(name, value ? "true" : "false"); }
  Object& put_number(std::string_view name, long long number) { return put(name, std::to_string(number)); }
  std::string text() const { return "{" + members_ + "}"; }

 private:
  std::string members_;
};

}  // namespace keelson::cri::shim::oci
