// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/spelling.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace keelson::cli {
namespace {

/// Edit distance.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::string did_you_mean(std::string_view key, const std::vector<std::string_view>& known) {
  auto nearest = std::ranges::min_element(known, {}, [&](std::string_view name) { return distance(key, name); });
  bool near = nearest != known.end() && distance(key, *nearest) <= 4;
  return near ? fmt::format("; did you mean {}?", *nearest) : "";
}

}  // namespace keelson::cli
