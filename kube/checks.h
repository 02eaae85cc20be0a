// SPDX-License-Identifier: Apache-2.0
// Collects field errors in the API server's words, and knows the rules that many fields share.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "kube/int_or_string.h"
#include "kube/path.h"
#include "kube/quantity.h"
#include "kube/validation.h"

namespace keelson::kube {

/// One validation run. Every rule adds an error or nothing; none stops the run.
class Checks {
 public:
  // The kinds of error (apimachinery field.Error).
  void required(const Path& path, std::string_view detail = {});
  void invalid(const Path& path, std::string_view value, std::string_view why);
  void invalid(const Path& path, int64_t value, std::string_view why);
  void forbidden(const Path& path, std::string_view why);
  void duplicate(const Path& path, std::string_view value);
  void not_found(const Path& path, std::string_view value);
  /// `supported` in alphabetical order.
  void unsupported(const Path& path, std::string_view value, std::initializer_list<std::string_view> supported);
  void too_long(const Path& path, size_t most);

  // Rules.
  void dns_label(const Path& path, std::string_view value);       ///< RFC 1123: containers, volumes, host names.
  void dns_1035(const Path& path, std::string_view value);        ///< Service names.
  void dns_subdomain(const Path& path, std::string_view value);   ///< Names of most objects.
  void qualified_name(const Path& path, std::string_view value);  ///< [prefix/]name: label keys.
  void label_value(const Path& path, std::string_view value);
  void port_name(const Path& path, std::string_view value);  ///< RFC 6335.
  void port_number(const Path& path, int64_t value);
  void port(const Path& path, const IntOrString& value);
  void non_negative(const Path& path, int64_t value);
  void id(const Path& path, int64_t value);    ///< uid or gid: 0..2147483647.
  void mode(const Path& path, int64_t value);  ///< 0..0777.
  void ip(const Path& path, std::string_view value);
  void cidr(const Path& path, std::string_view value);
  void no_backsteps(const Path& path, std::string_view value);     ///< No ".." part.
  void descending_path(const Path& path, std::string_view value);  ///< ... and relative.
  void data_key(const Path& path, std::string_view value);         ///< A key of a ConfigMap or Secret.

  FieldErrors take() { return std::move(errors_); }

 private:
  void add(const Path& path, std::string text);

  FieldErrors errors_;
};

}  // namespace keelson::kube
