// SPDX-License-Identifier: Apache-2.0
// mountinfo, read.
#include "common/cgroup/hierarchy.h"

#include <algorithm>

namespace keelson::cgroup {

std::vector<std::string> words(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const auto end = std::min(text.find(separator), text.size());
    if (end > 0) {
      parts.emplace_back(text.substr(0, end));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::vector<Hierarchy> parse_hierarchies(std::string_view mountinfo) {
  std::vector<Hierarchy> found;
  for (const auto& line : words(mountinfo, '\n')) {
    // id parent device root MOUNT options ... - TYPE source SUPER-OPTIONS
    const auto fields = words(line, ' ');
    const auto dash = std::ranges::find(fields, "-");
    if (fields.size() < 5 || fields.end() - dash < 4) {
      continue;
    }
    const auto& type = dash[1];
    if (type != "cgroup2" && type != "cgroup") {
      continue;
    }
    Hierarchy one{.root = fields[4], .controllers = {}, .second = type == "cgroup2"};
    if (!one.second) {
      one.controllers = words(dash[3], ',');
    }
    const bool known = std::ranges::any_of(
        found, [&](const auto& other) { return other.second == one.second && other.controllers == one.controllers; });
    if (!known) {
      found.push_back(std::move(one));
    }
  }
  return found;
}

}  // namespace keelson::cgroup
