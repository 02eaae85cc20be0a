// SPDX-License-Identifier: Apache-2.0
// sysctl_name.h.
#include "common/sysctl_name.h"

namespace keelson {

namespace {

std::string exchanged(std::string name) {
  for (char& c : name) {
    c = c == '.' ? '/' : c == '/' ? '.' : c;
  }
  return name;
}

}  // namespace

std::string sysctl_with_dots(std::string name) {
  const auto first = name.find_first_of("./");
  return first == std::string::npos || name[first] == '.' ? name : exchanged(std::move(name));
}

std::optional<std::string> sysctl_path(const std::string& name) {
  const auto below = exchanged(sysctl_with_dots(name));
  const auto whole = "/" + below + "/";
  for (const char* wrong : {"//", "/./", "/../"}) {
    if (whole.find(wrong) != std::string::npos) {
      return std::nullopt;
    }
  }
  return "/proc/sys/" + below;
}

}  // namespace keelson
