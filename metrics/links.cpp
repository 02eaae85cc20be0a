// SPDX-License-Identifier: Apache-2.0
#include "metrics/links.h"

#include <fmt/format.h>

#include <array>
#include <sstream>

#include "common/fd.h"

namespace keelson::metrics {

// "name: bytes packets errs drop fifo frame compressed multicast  bytes packets errs drop ...", received, then sent.
std::vector<LinkUse> parse_links(std::string_view text) {
  std::vector<LinkUse> links;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    const auto colon = line.find(':');
    const auto start = line.find_first_not_of(' ');
    if (colon == std::string::npos || start > colon) {
      continue;
    }
    LinkUse link{.name = line.substr(start, colon - start), .received = {}, .sent = {}};
    std::istringstream fields(line.substr(colon + 1));
    std::array<uint64_t, 12> values{};
    for (auto& value : values) {
      fields >> value;
    }
    if (fields && link.name != "lo") {
      link.received = {values[0], values[1], values[2], values[3]};
      link.sent = {values[8], values[9], values[10], values[11]};
      links.push_back(std::move(link));
    }
  }
  return links;
}

std::vector<LinkUse> read_links(pid_t process) {
  const auto text = read_file(fmt::format("/proc/{}/net/dev", process));
  return text ? parse_links(*text) : std::vector<LinkUse>();
}

}  // namespace keelson::metrics
