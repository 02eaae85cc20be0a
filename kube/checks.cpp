// SPDX-License-Identifier: Apache-2.0
// The shared rules of validation (k8s.io/apimachinery/pkg/util/validation).
#include "kube/checks.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

#include "kube/text.h"

namespace keelson::kube {

namespace {

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_alnum(char c) {
  return is_lower(c) || (c >= 'A' && c <= 'Z') || is_digit(c);
}
bool is_lower_alnum(char c) {
  return is_lower(c) || is_digit(c);
}

constexpr std::string_view kLabelRule =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an "
    "alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
constexpr std::string_view kSubdomainRule =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end "
    "with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
constexpr std::string_view kDns1035Rule =
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end "
    "with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')";
constexpr std::string_view kNamePartRule =
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
constexpr std::string_view kLabelValueRule =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end "
    "with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
constexpr std::string_view kDataKeyRule =
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

std::string no_more_than(size_t most) {
  return fmt::format("must be no more than {} characters", most);
}

bool is_label(std::string_view text) {
  return !text.empty() && is_lower_alnum(text.front()) && is_lower_alnum(text.back()) &&
         std::ranges::all_of(text, [](char c) { return is_lower_alnum(c) || c == '-'; });
}

bool is_subdomain(std::string_view text) {
  while (true) {
    const size_t dot = text.find('.');
    if (!is_label(text.substr(0, dot))) {
      return false;
    }
    if (dot == std::string_view::npos) {
      return true;
    }
    text.remove_prefix(dot + 1);
  }
}

/// Letters, digits, -, _ and dots, with a letter or digit at both ends.
bool is_name_part(std::string_view text) {
  return !text.empty() && is_alnum(text.front()) && is_alnum(text.back()) &&
         std::ranges::all_of(text, [](char c) { return is_alnum(c) || c == '-' || c == '_' || c == '.'; });
}

}  // namespace

void Checks::add(const Path& path, std::string text) {
  errors_.push_back({path.to_string(), std::move(text)});
}

void Checks::required(const Path& path, std::string_view detail) {
  add(path, detail.empty() ? "Required value" : fmt::format("Required value: {}", detail));
}
void Checks::invalid(const Path& path, std::string_view value, std::string_view why) {
  add(path, fmt::format("Invalid value: {}: {}", quoted(value), why));
}
void Checks::invalid(const Path& path, int64_t value, std::string_view why) {
  add(path, fmt::format("Invalid value: {}: {}", value, why));
}
void Checks::forbidden(const Path& path, std::string_view why) {
  add(path, fmt::format("Forbidden: {}", why));
}
void Checks::duplicate(const Path& path, std::string_view value) {
  add(path, fmt::format("Duplicate value: {}", quoted(value)));
}
void Checks::not_found(const Path& path, std::string_view value) {
  add(path, fmt::format("Not found: {}", quoted(value)));
}
void Checks::unsupported(const Path& path, std::string_view value, std::initializer_list<std::string_view> supported) {
  add(path,
      fmt::format("Unsupported value: {}: supported values: \"{}\"", quoted(value), fmt::join(supported, "\", \"")));
}
void Checks::too_long(const Path& path, size_t most) {
  add(path, fmt::format("Too long: may not be more than {} bytes", most));
}

void Checks::dns_label(const Path& path, std::string_view value) {
  if (value.size() > 63) {
    invalid(path, value, no_more_than(63));
  }
  if (!is_label(value)) {
    invalid(path, value, kLabelRule);
  }
}

void Checks::dns_1035(const Path& path, std::string_view value) {
  if (value.size() > 63) {
    invalid(path, value, no_more_than(63));
  }
  if (!is_label(value) || is_digit(value.front())) {
    invalid(path, value, kDns1035Rule);
  }
}

void Checks::dns_subdomain(const Path& path, std::string_view value) {
  if (value.size() > 253) {
    invalid(path, value, no_more_than(253));
  }
  if (!is_subdomain(value)) {
    invalid(path, value, kSubdomainRule);
  }
}

void Checks::qualified_name(const Path& path, std::string_view value) {
  std::string_view name = value;
  if (const size_t slash = value.find('/'); slash != std::string_view::npos) {
    const std::string_view prefix = value.substr(0, slash);
    name = value.substr(slash + 1);
    if (prefix.empty()) {
      invalid(path, value, "prefix part must be non-empty");
    } else if (prefix.size() > 253 || !is_subdomain(prefix)) {
      invalid(path, value,
              prefix.size() > 253 ? "prefix part " + no_more_than(253) : "prefix part " + std::string(kSubdomainRule));
    }
  }
  if (name.empty()) {
    invalid(path, value, "name part must be non-empty");
  } else if (name.size() > 63) {
    invalid(path, value, "name part " + no_more_than(63));
  }
  if (!is_name_part(name)) {
    invalid(path, value, kNamePartRule);
  }
}

void Checks::label_value(const Path& path, std::string_view value) {
  if (value.size() > 63) {
    invalid(path, value, no_more_than(63));
  }
  if (!value.empty() && !is_name_part(value)) {
    invalid(path, value, kLabelValueRule);
  }
}

void Checks::port_name(const Path& path, std::string_view value) {
  if (value.size() > 15) {
    invalid(path, value, no_more_than(15));
  }
  if (!std::ranges::all_of(value, [](char c) { return is_lower_alnum(c) || c == '-'; })) {
    invalid(path, value, "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  }
  if (std::ranges::none_of(value, is_lower)) {
    invalid(path, value, "must contain at least one letter (a-z)");
  }
  if (value.find("--") != std::string_view::npos) {
    invalid(path, value, "must not contain consecutive hyphens");
  }
  if (value.starts_with('-') || value.ends_with('-')) {
    invalid(path, value, "must not begin or end with a hyphen");
  }
}

void Checks::port_number(const Path& path, int64_t value) {
  if (value < 1 || value > 65535) {
    invalid(path, value, "must be between 1 and 65535, inclusive");
  }
}

void Checks::port(const Path& path, const IntOrString& value) {
  if (value.is_number()) {
    port_number(path, value.number());
  } else {
    port_name(path, value.name());
  }
}

void Checks::non_negative(const Path& path, int64_t value) {
  if (value < 0) {
    invalid(path, value, "must be greater than or equal to 0");
  }
}

void Checks::id(const Path& path, int64_t value) {
  if (value < 0 || value > 2'147'483'647) {
    invalid(path, value, "must be between 0 and 2147483647, inclusive");
  }
}

void Checks::mode(const Path& path, int64_t value) {
  if (value < 0 || value > 0777) {
    invalid(path, value, "must be a number between 0 and 0777 (octal), both inclusive");
  }
}

void Checks::ip(const Path& path, std::string_view value) {
  in6_addr address{};
  const std::string text(value);
  if (::inet_pton(AF_INET, text.c_str(), &address) != 1 && ::inet_pton(AF_INET6, text.c_str(), &address) != 1) {
    invalid(path, value, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
  }
}

void Checks::cidr(const Path& path, std::string_view value) {
  const auto slash = value.find('/');
  const std::string address(value.substr(0, slash));
  const std::string bits(slash == std::string_view::npos ? "" : value.substr(slash + 1));
  in6_addr parsed{};
  const int most = ::inet_pton(AF_INET, address.c_str(), &parsed) == 1    ? 32
                   : ::inet_pton(AF_INET6, address.c_str(), &parsed) == 1 ? 128
                                                                          : -1;
  const bool number = !bits.empty() && bits.size() <= 3 && bits.find_first_not_of("0123456789") == std::string::npos;
  if (most < 0 || !number || std::stoi(bits) > most) {
    invalid(path, value, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)");
  }
}

void Checks::no_backsteps(const Path& path, std::string_view value) {
  const std::string framed = fmt::format("/{}/", value);
  if (framed.find("/../") != std::string::npos) {
    invalid(path, value, "must not contain '..'");
  }
}

void Checks::descending_path(const Path& path, std::string_view value) {
  if (value.starts_with('/')) {
    invalid(path, value, "must be a relative path");
  }
  no_backsteps(path, value);
}

void Checks::data_key(const Path& path, std::string_view value) {
  if (value.size() > 253) {
    invalid(path, value, no_more_than(253));
  }
  const bool good = !value.empty() &&
                    std::ranges::all_of(value, [](char c) { return is_alnum(c) || c == '-' || c == '_' || c == '.'; });
  if (!good) {
    invalid(path, value, kDataKeyRule);
  } else if (value == "." || value == ".." || value.starts_with("..")) {
    invalid(path, value, value.size() <= 2 ? fmt::format("must not be '{}'", value) : "must not start with '..'");
  }
}

}  // namespace keelson::kube
