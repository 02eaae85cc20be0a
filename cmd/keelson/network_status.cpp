// SPDX-License-Identifier: Apache-2.0
#include "cmd/keelson/network_status.h"

#include <fmt/format.h>

#include "cmd/keelson/output.h"

namespace keelson::cli {

namespace json = boost::json;

namespace {

std::string joined(const json::array& all) {
  std::string text;
  for (const auto& one : all) {
    text += (text.empty() ? "" : ",") + (one.is_string() ? std::string(one.get_string()) : "");
  }
  return text.empty() ? "<none>" : text;
}

std::string last_sync(const json::value& status) {
  const auto& last = find(status, {"lastSync"});
  if (last.is_null()) {
    return "never";
  }
  return fmt::format("{} ago, {} changed, {} failed, {:.1f}ms", age_of(text_at(last, {"time"})),
                     number_at(last, {"changed"}), number_at(last, {"failed"}),
                     static_cast<double>(number_at(last, {"microseconds"})) / 1000);
}

std::string source(const json::value& status) {
  const auto& from = find(status, {"source"});
  auto trouble = text_at(from, {"trouble"});
  return fmt::format("{}: {} services, {} endpoint slices{}", text_at(from, {"from"}), number_at(from, {"services"}),
                     number_at(from, {"endpointSlices"}), trouble.empty() ? "" : "; " + trouble);
}

std::string maps(const json::value& status) {
  const auto& maps = find(status, {"maps"});
  auto mib = [&](const char* member) { return static_cast<double>(number_at(maps, {member})) / (1 << 20); };
  auto text =
      fmt::format("{:.1f} of {:.0f} MiB, grown {} times", mib("bytes"), mib("budget"), number_at(maps, {"growths"}));
  for (const auto& one : list_at(maps, {"refused"})) {
    text += fmt::format("; no room for {} rows of {} (--bpf-memory)", number_at(one, {"rows"}), text_at(one, {"map"}));
  }
  return text;
}

}  // namespace

std::string format_network_status(const json::value& status) {
  const auto* synced = find(status, {"synced"}).if_bool();
  auto sockets = list_at(status, {"programs", "sockets", "hooks"}).size();
  std::vector<std::vector<std::string>> about{
      {"Network:",
       fmt::format("{}, {} services routed on {}", synced != nullptr && *synced ? "in sync" : "waiting for its source",
                   number_at(status, {"routedServices"}), text_at(status, {"node"}))},
      {"Source:", source(status)},
      {"Last sync:", last_sync(status)},
      {"Sockets:",
       fmt::format("{} hooks in {}", sockets, text_at(status, {"programs", "sockets", "cgroup"}, "<none>"))},
      {"Maps:", maps(status)}};
  if (auto mode = text_at(status, {"mode"}, "route"); mode != "route") {
    about.insert(about.begin() + 1, {"Mode:", mode});
  }
  std::vector<std::vector<std::string>> links{{"LINK", "KIND", "HOOKS"}};
  for (const auto& link : list_at(status, {"programs", "links"})) {
    auto name = text_at(link, {"name"});
    links.push_back({name.empty() ? fmt::format("<gone: {}>", number_at(link, {"index"})) : name,
                     text_at(link, {"kind"}), joined(list_at(link, {"hooks"}))});
  }
  std::vector<std::vector<std::string>> tables{{"TABLE", "USED", "OF"}};
  for (const auto& table : list_at(status, {"tables"})) {
    tables.push_back({text_at(table, {"name"}), std::to_string(number_at(table, {"used"})),
                      std::to_string(number_at(table, {"of"}))});
  }
  return format_table(about) + "\n" + format_table(links) + "\n" + format_table(tables);
}

}  // namespace keelson::cli
