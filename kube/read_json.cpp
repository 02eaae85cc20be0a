// SPDX-License-Identifier: Apache-2.0
// JSON into the neutral tree, by Boost.JSON's event parser fed line by line, so that every value knows its line.
#include <fmt/format.h>

#include <boost/json/basic_parser_impl.hpp>

#include "kube/codec.h"
#include "kube/json_events.h"
#include "kube/tree_builder.h"
#include "kube/value.h"

namespace keelson::kube {

namespace {

namespace json = boost::json;
using Code = json::error_code;
using Text = json::string_view;

class Events : public JsonEvents {
 public:
  explicit Events(Budget& budget) : tree_(budget) {}

  bool on_object_begin(Code& code) { return checked(tree_.open(Value::Type::map, {line_, 0}), code); }
  bool on_object_end(size_t, Code& code) { return checked(tree_.close(), code); }
  bool on_array_begin(Code& code) { return checked(tree_.open(Value::Type::list, {line_, 0}), code); }
  bool on_array_end(size_t, Code& code) { return checked(tree_.close(), code); }
  bool on_key_part(Text part, size_t, Code&) { return keep(part); }
  bool on_key(Text part, size_t, Code& code) { return on_string(part, 0, code); }
  bool on_string_part(Text part, size_t, Code&) { return keep(part); }
  bool on_string(Text part, size_t, Code& code) {
    keep(part);
    return scalar(Value::of_string(std::exchange(part_, {})), code);
  }
  bool on_number_part(Text part, Code&) { return keep(part); }
  bool on_int64(int64_t number, Text, Code& code) { return scalar(Value::of_integer(number), code); }
  bool on_uint64(uint64_t, Text part, Code& code) { return real(part, code); }
  bool on_double(double, Text part, Code& code) { return real(part, code); }
  bool on_bool(bool flag, Code& code) { return scalar(Value::of_boolean(flag), code); }
  bool on_null(Code& code) { return scalar({}, code); }

  TreeBuilder& tree() { return tree_; }
  void set_line(int line) { line_ = line; }
  int line() const { return line_; }

 private:
  bool keep(Text part) {
    part_.append(part.data(), part.size());
    return true;
  }
  bool checked(bool good, Code& code) {
    if (!good) {
      code = json::error::exception;
    }
    return good;
  }
  bool scalar(Value value, Code& code) {
    part_.clear();
    return checked(tree_.scalar(std::move(value), {line_, 0}), code);
  }
  bool real(Text part, Code& code) {
    keep(part);
    Value value = Value::of_type(Value::Type::real);
    value.text = std::exchange(part_, {});
    return scalar(std::move(value), code);
  }

  TreeBuilder tree_;
  std::string part_;
  int line_ = 1;
};

}  // namespace

Tree read_json(std::string_view text) {
  Budget budget;
  return read_json(text, 1, budget);
}

Tree read_json(std::string_view text, int first_line, Budget& budget) {
  json::basic_parser<Events> parser(json_options(), budget);
  Events& events = parser.handler();
  Code code;
  int line = first_line;
  for (size_t at = 0; at < text.size() && !code; ++line) {
    events.set_line(line);
    const size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
    const size_t used = parser.write_some(true, text.data() + at, end - at, code);
    if (!code && used < end - at) {
      code = json::error::extra_data;
    }
    at = end;
  }
  if (!code) {
    parser.write_some(false, "", 0, code);
  }
  Tree tree = events.tree().take();
  if (code) {
    const std::string& why = events.tree().error();
    tree.error = {events.line(), 0, "not valid JSON: " + (why.empty() ? code.message() : why)};
  }
  return tree;
}

}  // namespace keelson::kube
