// SPDX-License-Identifier: Apache-2.0
#include "common/cgroup/files.h"

#include <algorithm>
#include <cstdlib>

#include "common/fd.h"

namespace keelson::cgroup {

uint64_t number_in(const std::string& path) {
  const auto text = read_file(path);
  return text ? std::strtoull(text->c_str(), nullptr, 10) : 0;
}

uint64_t value_in(std::string_view text, std::string_view key) {
  size_t at = 0;
  while (at < text.size()) {
    const auto end = std::min(text.find('\n', at), text.size());
    const auto line = text.substr(at, end - at);
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ') {
      return std::strtoull(std::string(line.substr(key.size() + 1)).c_str(), nullptr, 10);
    }
    at = end + 1;
  }
  return 0;
}

uint64_t less(uint64_t from, uint64_t what) {
  return from > what ? from - what : 0;
}

}  // namespace keelson::cgroup
