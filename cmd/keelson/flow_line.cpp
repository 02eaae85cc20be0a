// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/flow_line.h"

#include <fmt/format.h>

#include "cmd/keelson/output.h"

namespace keelson::cli {

namespace {

/// "10.2.0.1:4711 (default/web-0)"
std::string end(const boost::json::value& event, std::string_view address, std::string_view pod) {
  auto name = text_at(event, {pod});
  auto text = text_at(event, {address}, "*");
  return name.empty() ? text : text + " (" + name + ")";
}

}  // namespace

std::string flow_line(const boost::json::value& event) {
  if (auto lost = number_at(event, {"lost"})) {
    return fmt::format("... {} events were not told: more than this reader takes", lost);
  }
  auto time = text_at(event, {"time"});
  auto line =
      fmt::format("{} {:<9} {:<4} {} -> {}", time.size() > 23 ? time.substr(11, 12) : time, text_at(event, {"verdict"}),
                  text_at(event, {"protocol"}), end(event, "source", "sourcePod"), text_at(event, {"destination"}));
  if (auto service = text_at(event, {"service"}); !service.empty()) {
    line += " " + service;
  }
  if (!text_at(event, {"backend"}).empty()) {
    line += " => " + end(event, "backend", "backendPod");
    auto masqueraded = text_at(event, {"masqueradedAs"});
    line += masqueraded.empty() ? "" : " as " + masqueraded;
    return line;
  }
  return line + " (" + text_at(event, {"text"}) + ")";
}

}  // namespace keelson::cli
