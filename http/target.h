// SPDX-License-Identifier: Apache-2.0
// "/exec/default/web/main?command=ls&command=-l" taken apart.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.h"

namespace keelson::http {

struct Target {
  std::vector<std::string> path;  ///< Decoded segments.
  std::multimap<std::string, std::string> query;

  bool flag(const std::string& key) const;
  std::string text(const std::string& key) const;  ///< The first value; empty if there is none.
  std::vector<std::string> all(const std::string& key) const;
};

/// Kind::invalid on a broken percent code.
Result<Target> parse_target(std::string_view target);

}  // namespace keelson::http
