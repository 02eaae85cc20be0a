// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/explanation.h"

#include <fmt/format.h>

#include "cmd/keelson/connection_table.h"
#include "cmd/keelson/output.h"

namespace keelson::cli {

namespace json = boost::json;

namespace {

bool flag_at(const json::value& value, std::string_view name) {
  const auto* flag = find(value, {name}).if_bool();
  return flag != nullptr && *flag;
}

std::string decided(const std::string& by) {
  if (by == "socket") {
    return "when the socket connects (cgroup): no packet needs translation";
  }
  return by == "xdp" ? "at the uplink's driver (XDP), or at tc where the way leads elsewhere" : "packet by packet (tc)";
}

std::string endpoint_table(const json::array& endpoints) {
  std::vector<std::vector<std::string>> rows{{"  ENDPOINT", "TAKES NEW FLOWS", "SERVING", "LOCAL", "POD"}};
  for (const auto& one : endpoints) {
    auto yes = [&](std::string_view name) { return flag_at(one, name) ? "yes" : "no"; };
    rows.push_back({(flag_at(one, "chosen") ? "* " : "  ") + text_at(one, {"address"}), yes("mayBeChosen"),
                    yes("serving"), yes("local"), text_at(one, {"pod"}, "<none>")});
  }
  return format_table(rows);
}

}  // namespace

std::string format_explanation(const json::value& why) {
  auto from = text_at(why, {"from"});
  auto source = text_at(why, {"source"});
  auto text = fmt::format("{} -> {}/{}\n", source.empty() ? "any " + from : source + " (" + from + ")",
                          text_at(why, {"to"}), text_at(why, {"protocol"}));
  if (auto service = text_at(why, {"service"}); !service.empty()) {
    text += fmt::format("service:     {}, {}{}\n", service, text_at(why, {"frontend"}),
                        flag_at(why, "programmed") ? "" : "; NOT in the kernel (keelson get services --diff)");
    text += "decided:     " + decided(text_at(why, {"decidedBy"})) + "\n";
  }
  text += fmt::format("verdict:     {}: {}\n", text_at(why, {"outcome"}), text_at(why, {"reason"}));
  if (text_at(why, {"outcome"}) == "FORWARD") {
    auto as = text_at(why, {"masqueradeAs"}), node = text_at(why, {"wrappedTo"});
    text += "source:      " +
            (!as.empty()     ? "masqueraded as " + as
             : !node.empty() ? "kept; wrapped to node " + node + ", which answers directly"
                             : "kept") +
            "\n";
  }
  if (const auto& endpoints = list_at(why, {"endpoints"}); !endpoints.empty()) {
    text += "endpoints:\n" + endpoint_table(endpoints);
  }
  if (!list_at(why, {"connections"}).empty()) {
    text += "connections:\n" +
            format_table(connection_table(json::object{{"items", list_at(why, {"connections"})}}, false, true));
  }
  return text;
}

}  // namespace keelson::cli
